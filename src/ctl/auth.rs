//! `auth`.

use client::Error;

use crate::exit::Exit;
use crate::run::{Context, write};

pub(crate) async fn status(context: &Context) -> Result<(), Exit> {
    context.out.show(&context.client.auth_status().await?)
}

/// Enables it, and makes the role root on the way if that is all that is missing.
pub(crate) async fn enable(context: &Context) -> Result<(), Exit> {
    let client = &context.client;
    if let Err(error) = client.auth_enable().await {
        let is_role = |error: &Error| error.to_string() == "etcdserver: root user does not have root role";
        if !is_role(&error) {
            return Err(error.into());
        }
        match client.role_add("root").await {
            Err(error) if error.to_string() != "etcdserver: role name already exists" => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
        client.user_grant_role("root", "root").await?;
        client.auth_enable().await?;
    }
    write(b"Authentication Enabled\n")
}

pub(crate) async fn disable(context: &Context) -> Result<(), Exit> {
    context.client.auth_disable().await?;
    write(b"Authentication Disabled\n")
}
