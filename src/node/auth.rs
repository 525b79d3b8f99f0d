//! Who asks, and what is asked about users and roles. Decided is by the log (`state`); here a token becomes a name, and a password a hash.

use std::sync::Arc;

use bytes::Bytes;
use model::{AuthCommand, Command, Identity, KeyRange, Permission, ROOT, Rejection, Revision};
use state::{Auth, LeaseInfo};

use crate::auth_config::{AuthConfig, TokenKind};
use crate::error::Error;
use crate::handle::Handle;
use crate::jwt::{Jwt, JwtKeyError};
use crate::passwords::Passwords;
use crate::simple_tokens::{self, SimpleTokens};

/// How often a password is checked anew because users or roles changed meanwhile.
const ATTEMPTS_MAX: usize = 8;

/// What a member needs to know who asks.
#[derive(Debug)]
pub(crate) struct Authentication {
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
}

/// What tokens are.
#[derive(Debug)]
pub(crate) enum Tokens {
    Simple(Arc<SimpleTokens>),
    Jwt(Box<Jwt>),
}

impl Tokens {
    /// Those of `config`; simple ones come in as `simple` hears of them.
    pub(crate) fn new(config: &AuthConfig, simple: Arc<SimpleTokens>) -> Result<Self, JwtKeyError> {
        match &config.tokens {
            TokenKind::Simple => Ok(Self::Simple(simple)),
            TokenKind::Jwt(config) => Ok(Self::Jwt(Box::new(Jwt::load(config)?))),
        }
    }
}

/// Whether authentication is on, and how often users or roles have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthStatus {
    /// Whether it is on.
    pub enabled: bool,
    /// Revision of the auth store.
    pub revision: u64,
}

impl Handle {
    /// Whom a token is of. While authentication is off nobody in particular, whatever the token.
    ///
    /// # Errors
    ///
    /// [`Rejection::InvalidAuthToken`].
    pub async fn identify(&self, token: Option<&str>) -> Result<Identity, Rejection> {
        let auth = self.auth();
        let Some(token) = token.filter(|_| auth.is_enabled()) else { return Ok(Identity::default()) };
        let identity = match &self.inner().authentication.tokens {
            Tokens::Jwt(jwt) => jwt.identity(token),
            Tokens::Simple(tokens) => {
                tokens.user(token).await.map(|user| Identity { user, auth_revision: self.auth().revision() })
            }
        };
        identity.ok_or(Rejection::InvalidAuthToken)
    }

    /// Who comes with a certificate of that name, which was verified. While authentication is off nobody in particular.
    #[must_use]
    pub fn identify_certificate(&self, common_name: &str) -> Identity {
        let auth = self.auth();
        if auth.is_enabled() {
            Identity { user: common_name.to_owned(), auth_revision: auth.revision() }
        } else {
            Identity::default()
        }
    }

    /// Whether it is checked who may do what, as far as this member knows.
    #[must_use]
    pub fn is_auth_enabled(&self) -> bool {
        self.auth().is_enabled()
    }

    /// Refuses what is for root alone.
    ///
    /// # Errors
    ///
    /// [`Rejection::UserNameEmpty`], [`Rejection::PermissionDenied`].
    pub fn permit_root(&self, identity: &Identity) -> Result<(), Rejection> {
        self.auth().permit_root(identity)
    }

    /// Refuses what is for any user at all.
    ///
    /// # Errors
    ///
    /// As [`Self::permit_root`].
    pub fn permit_user(&self, identity: &Identity) -> Result<(), Rejection> {
        self.auth().permit_user(identity)
    }

    /// Refuses to show keys that may not be read.
    ///
    /// # Errors
    ///
    /// [`Rejection::UserNameEmpty`], [`Rejection::AuthOldRevision`], [`Rejection::PermissionDenied`].
    pub fn permit_read(&self, identity: &Identity, range: &KeyRange) -> Result<(), Rejection> {
        self.auth().rights(identity)?.may_read(range)
    }

    /// Refuses to show which keys are attached to a lease, if some of them may not be read.
    ///
    /// # Errors
    ///
    /// As [`Self::permit_read`].
    pub fn permit_keys_of(&self, identity: &Identity, lease: &LeaseInfo) -> Result<(), Rejection> {
        let auth = self.auth();
        let rights = auth.rights(identity)?;
        lease.keys.iter().try_for_each(|key| rights.may_read_key(key))
    }

    pub(crate) fn auth(&self) -> Arc<Auth> {
        self.inner().reader.auth()
    }

    /// Checks a password and makes a token. Answers are the same, and take as long, for a user who does not exist.
    ///
    /// # Errors
    ///
    /// [`Rejection::AuthNotEnabled`], [`Rejection::AuthFailed`], [`Rejection::PasswordNotWanted`]; [`Error::VerifyOnly`] on a member
    /// that has no key to sign with; see [`Error`].
    pub async fn authenticate(&self, user: String, password: String) -> Result<(Revision, String), Error> {
        for _ in 0..ATTEMPTS_MAX {
            self.confirm_reads().await?;
            let auth_revision = self.check_password(&user, password.clone()).await?;
            match self.new_token(&user, auth_revision).await {
                Err(Error::Rejected(Rejection::AuthOldRevision)) => {}
                answer => return answer,
            }
        }
        Err(Rejection::AuthOldRevision.into())
    }

    /// The auth store's revision for which the password is right.
    async fn check_password(&self, user: &str, password: String) -> Result<u64, Error> {
        let auth = self.auth();
        if !auth.is_enabled() {
            return Err(Rejection::AuthNotEnabled.into());
        }
        let known = auth.user(user);
        if known.is_some_and(|user| user.password().is_none()) {
            return Err(Rejection::PasswordNotWanted.into());
        }
        let hash = known.and_then(|user| user.password().cloned());
        self.inner().authentication.passwords.check(password, hash).await?;
        Ok(auth.revision())
    }

    async fn new_token(&self, user: &str, auth_revision: u64) -> Result<(Revision, String), Error> {
        match &self.inner().authentication.tokens {
            Tokens::Jwt(jwt) => {
                let token =
                    jwt.token(user, auth_revision, self.inner().proposer.wall_clock_ms()).ok_or(Error::VerifyOnly)?;
                Ok((self.revision(), token))
            }
            Tokens::Simple(_) => {
                let letters = simple_tokens::letters();
                let token = simple_tokens::digest(&letters);
                let grant = AuthCommand::GrantToken { user: user.to_owned(), token, auth_revision };
                let (index, revision) = self.inner().proposer.propose_as_cluster(Command::Auth(grant)).await?;
                Ok((revision, simple_tokens::token(&letters, index)))
            }
        }
    }

    /// Changes users, roles, or whether they matter. Returns the store's revision.
    ///
    /// # Errors
    ///
    /// What [`AuthCommand`] can be refused for; see [`Error`].
    pub async fn change_auth(&self, identity: Identity, command: AuthCommand) -> Result<Revision, Error> {
        // Who may not ask is not told what is wrong with the request.
        self.permit_root(&identity)?;
        command.check()?;
        Ok(self.propose(identity, Command::Auth(command)).await?.0)
    }

    /// The hash of a new password, for somebody who may set one.
    ///
    /// # Errors
    ///
    /// As [`Self::permit_root`]; [`Error::PasswordTooLong`]; [`Unavailable`](crate::Unavailable::TooManyRequests).
    pub async fn hash_password(&self, identity: &Identity, password: String) -> Result<Bytes, Error> {
        self.permit_root(identity)?;
        self.inner().authentication.passwords.hash(password).await
    }

    /// Whether authentication is on.
    ///
    /// # Errors
    ///
    /// As [`Self::permit_root`]; see [`Error`].
    pub async fn auth_status(&self, identity: &Identity) -> Result<AuthStatus, Error> {
        let auth = self.fresh_auth().await?;
        auth.permit_root(identity)?;
        Ok(AuthStatus { enabled: auth.is_enabled(), revision: auth.revision() })
    }

    /// Roles of a user, sorted. Anybody may ask for their own.
    ///
    /// # Errors
    ///
    /// [`Rejection::UserNotFound`]; as [`Self::permit_root`]; see [`Error`].
    pub async fn user_roles(&self, identity: &Identity, name: &str) -> Result<Vec<String>, Error> {
        let auth = self.fresh_auth().await?;
        if identity.user != name || name.is_empty() {
            auth.permit_root(identity)?;
        }
        let user = auth.user(name).ok_or(Rejection::UserNotFound)?;
        Ok(user.roles().map(str::to_owned).collect())
    }

    /// Names of all users, sorted.
    ///
    /// # Errors
    ///
    /// As [`Self::permit_root`]; see [`Error`].
    pub async fn users(&self, identity: &Identity) -> Result<Vec<String>, Error> {
        let auth = self.fresh_auth().await?;
        auth.permit_root(identity)?;
        Ok(auth.users().map(str::to_owned).collect())
    }

    /// What a role may do, by key. Anybody may ask for a role that they have.
    ///
    /// # Errors
    ///
    /// [`Rejection::RoleNotFound`]; as [`Self::permit_root`]; see [`Error`].
    pub async fn role_permissions(&self, identity: &Identity, name: &str) -> Result<Vec<Permission>, Error> {
        let auth = self.fresh_auth().await?;
        if !auth.user(&identity.user).is_some_and(|user| user.has_role(name)) {
            auth.permit_root(identity)?;
        }
        let role = auth.role(name).ok_or(Rejection::RoleNotFound)?;
        if name == ROOT {
            let range = KeyRange::From(Bytes::new());
            return Ok(vec![Permission { access: model::Access::ReadWrite, range }]);
        }
        Ok(role.permissions().collect())
    }

    /// Names of all roles, sorted.
    ///
    /// # Errors
    ///
    /// As [`Self::permit_root`]; see [`Error`].
    pub async fn roles(&self, identity: &Identity) -> Result<Vec<String>, Error> {
        let auth = self.fresh_auth().await?;
        auth.permit_root(identity)?;
        Ok(auth.roles().map(str::to_owned).collect())
    }

    /// The auth store, no older than this call.
    async fn fresh_auth(&self) -> Result<Arc<Auth>, Error> {
        self.confirm_reads().await?;
        Ok(self.auth())
    }
}

/// Refuses an answer that was put together while users or roles changed: who asked may not be allowed to see it any more.
pub(crate) fn check_unchanged(before: &Auth, now: &Auth) -> Result<(), Rejection> {
    let is_same = !now.is_enabled() || before.revision() == now.revision();
    if is_same { Ok(()) } else { Err(Rejection::AuthOldRevision) }
}
