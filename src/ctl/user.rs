//! `user`.

use client::pb::{AuthUserAddRequest, AuthUserChangePasswordRequest, UserAddOptions};

use crate::connect::ask;
use crate::exit::Exit;
use crate::flags::{Passwd, User, UserAdd, UserGet, Words};
use crate::run::{Context, write};
use crate::show::{Done, RoleShown, UserShown};

pub(crate) async fn run(context: &Context, task: &User) -> Result<(), Exit> {
    match task {
        User::Add(flags) => add(context, flags).await,
        User::Delete(words) => delete(context, words).await,
        User::Get(flags) => get(context, flags).await,
        User::List => context.out.show(&context.client.user_list().await?),
        User::Passwd(flags) => passwd(context, flags).await,
        User::GrantRole(words) => grant_role(context, words).await,
        User::RevokeRole(words) => revoke_role(context, words).await,
    }
}

fn only<'a>(words: &'a [String], what: &str) -> Result<&'a str, Exit> {
    match words {
        [name] => Ok(name),
        _ => Err(Exit::bad_args(format!("user {what} command requires user name as its argument"))),
    }
}

async fn add(context: &Context, flags: &UserAdd) -> Result<(), Exit> {
    let word = only(&flags.words, "add")?;
    let (name, password) = if flags.no_password {
        (word, String::new())
    } else if !flags.new_user_password.is_empty() {
        (word, flags.new_user_password.clone())
    } else if let Some((name, password)) = word.split_once(':') {
        if name.is_empty() {
            return Err(Exit::bad_args("empty user name is not allowed"));
        }
        (name, password.to_owned())
    } else {
        (word, password(word, flags.interactive)?)
    };
    let options = Some(UserAddOptions { no_password: flags.no_password });
    let request = AuthUserAddRequest { name: name.to_owned(), password, options, ..AuthUserAddRequest::default() };
    let response = context.client.user_add(request).await?;
    context.out.show(&Done::new(format!("User {name} created"), response.header, &response))
}

/// Asks for a password twice on the terminal, or takes a word from stdin.
fn password(name: &str, interactive: bool) -> Result<String, Exit> {
    if !interactive {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| Exit::io(&error))?;
        return Ok(line.split_whitespace().next().unwrap_or_default().to_owned());
    }
    let first = ask(&format!("Password of {name}: "))?;
    if first.is_empty() {
        return Err(Exit::bad_args("empty password"));
    }
    let second = ask(&format!("Type password of {name} again for confirmation: "))?;
    if first == second { Ok(first) } else { Err(Exit::bad_args("given passwords are different")) }
}

async fn delete(context: &Context, words: &Words) -> Result<(), Exit> {
    let name = only(&words.words, "delete")?;
    let response = context.client.user_delete(name).await?;
    context.out.show(&Done::new(format!("User {name} deleted"), response.header, &response))
}

async fn get(context: &Context, flags: &UserGet) -> Result<(), Exit> {
    let name = only(&flags.words, "get")?;
    let response = context.client.user_get(name).await?;
    if !flags.detail {
        return context.out.show(&UserShown { name, response: &response });
    }
    write(format!("User: {name}\n").as_bytes())?;
    for role in &response.roles {
        write(b"\n")?;
        let response = context.client.role_get(role).await?;
        context.out.show(&RoleShown { name: role, response: &response })?;
    }
    Ok(())
}

async fn passwd(context: &Context, flags: &Passwd) -> Result<(), Exit> {
    let name = only(&flags.words, "passwd")?;
    let password = password(name, flags.interactive)?;
    let request =
        AuthUserChangePasswordRequest { name: name.to_owned(), password, ..AuthUserChangePasswordRequest::default() };
    let response = context.client.user_change_password(request).await?;
    context.out.show(&Done::new("Password updated".to_owned(), response.header, &response))
}

async fn grant_role(context: &Context, words: &Words) -> Result<(), Exit> {
    let [user, role] = &words.words[..] else {
        return Err(Exit::bad_args("user grant command requires user name and role name as its argument"));
    };
    let response = context.client.user_grant_role(user, role).await?;
    context.out.show(&Done::new(format!("Role {role} is granted to user {user}"), response.header, &response))
}

async fn revoke_role(context: &Context, words: &Words) -> Result<(), Exit> {
    let [user, role] = &words.words[..] else {
        return Err(Exit::bad_args("user revoke-role requires user name and role name as its argument"));
    };
    let response = context.client.user_revoke_role(user, role).await?;
    context.out.show(&Done::new(format!("Role {role} is revoked from user {user}"), response.header, &response))
}
