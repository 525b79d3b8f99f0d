//! Flags of what is about users and roles.

use clap::{Args, Subcommand};

use super::Words;

#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Enables authentication
    Enable,
    /// Disables authentication
    Disable,
    /// Returns authentication status
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Adds a new user
    Add(UserAdd),
    /// Deletes a user
    Delete(Words),
    /// Gets detailed information of a user
    Get(UserGet),
    /// Lists all users
    List,
    /// Changes password of user
    Passwd(Passwd),
    /// Grants a role to a user
    GrantRole(Words),
    /// Revokes a role from a user
    RevokeRole(Words),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UserAdd {
    #[arg(value_name = "USER[:PASSWORD]")]
    pub(crate) words: Vec<String>,
    /// Ask for the password on the terminal; with =false it is read from stdin
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    pub(crate) interactive: bool,
    /// Supply password from the command line flag
    #[arg(long, default_value = "")]
    pub(crate) new_user_password: String,
    /// Create a user without password (certificates only)
    #[arg(long)]
    pub(crate) no_password: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UserGet {
    #[arg(value_name = "USER")]
    pub(crate) words: Vec<String>,
    /// Show permissions of roles granted to the user
    #[arg(long)]
    pub(crate) detail: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Passwd {
    #[arg(value_name = "USER")]
    pub(crate) words: Vec<String>,
    /// Ask for the password on the terminal; with =false it is read from stdin
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    pub(crate) interactive: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Adds a new role
    Add(Words),
    /// Deletes a role
    Delete(Words),
    /// Gets detailed information of a role
    Get(Words),
    /// Lists all roles
    List,
    /// Grants a key to a role
    GrantPermission(Permission),
    /// Revokes a key from a role
    RevokePermission(Permission),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Permission {
    #[arg(value_name = "ROLE [read|write|readwrite] KEY [END]")]
    pub(crate) words: Vec<String>,
    /// A permission for a prefix
    #[arg(long)]
    pub(crate) prefix: bool,
    /// A permission for keys that are greater than or equal to the given key using byte compare
    #[arg(long)]
    pub(crate) from_key: bool,
}
