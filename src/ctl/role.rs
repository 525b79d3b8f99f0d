//! `role`.

use bytes::Bytes;
use client::pb::{AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest, permission};

use crate::exit::Exit;
use crate::flags::{Permission, Role, Words};
use crate::get::{Range, prefix_range};
use crate::run::Context;
use crate::show::{Done, RoleShown, range};

pub(crate) async fn run(context: &Context, task: &Role) -> Result<(), Exit> {
    match task {
        Role::Add(words) => add(context, words).await,
        Role::Delete(words) => delete(context, words).await,
        Role::Get(words) => get(context, words).await,
        Role::List => context.out.show(&context.client.role_list().await?),
        Role::GrantPermission(flags) => grant(context, flags).await,
        Role::RevokePermission(flags) => revoke(context, flags).await,
    }
}

fn only<'a>(words: &'a Words, what: &str) -> Result<&'a str, Exit> {
    match &words.words[..] {
        [name] => Ok(name),
        _ => Err(Exit::bad_args(format!("role {what} command requires role name as its argument"))),
    }
}

async fn add(context: &Context, words: &Words) -> Result<(), Exit> {
    let role = only(words, "add")?;
    let response = context.client.role_add(role).await?;
    context.out.show(&Done::new(format!("Role {role} created"), response.header, &response))
}

async fn delete(context: &Context, words: &Words) -> Result<(), Exit> {
    let role = only(words, "delete")?;
    let response = context.client.role_delete(role).await?;
    context.out.show(&Done::new(format!("Role {role} deleted"), response.header, &response))
}

async fn get(context: &Context, words: &Words) -> Result<(), Exit> {
    let name = only(words, "get")?;
    let response = context.client.role_get(name).await?;
    context.out.show(&RoleShown { name, response: &response })
}

async fn grant(context: &Context, flags: &Permission) -> Result<(), Exit> {
    let [role, kind, keys @ ..] = &flags.words[..] else { return Err(missing_for_grant()) };
    if keys.is_empty() {
        return Err(missing_for_grant());
    }
    let kind = match kind.to_ascii_lowercase().as_str() {
        "read" => permission::Type::Read,
        "write" => permission::Type::Write,
        "readwrite" => permission::Type::Readwrite,
        _ => return Err(Exit::bad_args(format!("invalid permission type: {kind}"))),
    };
    let (key, range_end) = permitted(keys, flags)?;
    let perm = client::pb::Permission { perm_type: kind.into(), key, range_end };
    let request = AuthRoleGrantPermissionRequest { name: role.clone(), perm: Some(perm) };
    let response = context.client.role_grant_permission(request).await?;
    context.out.show(&Done::new(format!("Role {role} updated"), response.header, &response))
}

fn missing_for_grant() -> Exit {
    Exit::bad_args("role grant command requires role name, permission type, and key [endkey] as its argument")
}

async fn revoke(context: &Context, flags: &Permission) -> Result<(), Exit> {
    let [role, keys @ ..] = &flags.words[..] else { return Err(missing_for_revoke()) };
    if keys.is_empty() {
        return Err(missing_for_revoke());
    }
    let (key, range_end) = permitted(keys, flags)?;
    let request =
        AuthRoleRevokePermissionRequest { role: role.clone(), key: key.clone(), range_end: range_end.clone() };
    let response = context.client.role_revoke_permission(request).await?;
    let what = if range_end.is_empty() {
        format!("key {}", String::from_utf8_lossy(&key))
    } else {
        format!("range {}", range(&key, &range_end))
    };
    let text = format!("Permission of {what} is revoked from role {role}");
    context.out.show(&Done::new(text, response.header, &response))
}

fn missing_for_revoke() -> Exit {
    Exit::bad_args("role revoke-permission command requires role name and key [endkey] as its argument")
}

/// The range of a permission.
fn permitted(keys: &[String], flags: &Permission) -> Result<Range, Exit> {
    if flags.prefix && flags.from_key {
        return Err(Exit::bad_args("--from-key and --prefix flags are mutually exclusive"));
    }
    let (key, end) = match keys {
        [key] => (Bytes::from(key.clone()), None),
        [_, _] if flags.prefix => {
            return Err(Exit::bad_args("unexpected endkey argument with --prefix flag"));
        }
        [_, _] if flags.from_key => {
            return Err(Exit::bad_args("unexpected endkey argument with --from-key flag"));
        }
        [key, end] => (Bytes::from(key.clone()), Some(Bytes::from(end.clone()))),
        _ => return Err(Exit::bad_args("too many arguments")),
    };
    let open = Bytes::from_static(b"\0");
    Ok(match end {
        Some(end) => (key, end),
        None if flags.prefix => prefix_range(key),
        None if flags.from_key => (if key.is_empty() { open.clone() } else { key }, open),
        None => (key, Bytes::new()),
    })
}
