//! Users, roles and permissions. Tokens are got and renewed without being asked for (`call.rs`).

use proto::etcdserverpb::auth_client::AuthClient;
use proto::etcdserverpb::{
    AuthDisableRequest, AuthDisableResponse, AuthEnableRequest, AuthEnableResponse, AuthRoleAddRequest,
    AuthRoleAddResponse, AuthRoleDeleteRequest, AuthRoleDeleteResponse, AuthRoleGetRequest, AuthRoleGetResponse,
    AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse, AuthRoleListRequest, AuthRoleListResponse,
    AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse, AuthStatusRequest, AuthStatusResponse,
    AuthUserAddRequest, AuthUserAddResponse, AuthUserChangePasswordRequest, AuthUserChangePasswordResponse,
    AuthUserDeleteRequest, AuthUserDeleteResponse, AuthUserGetRequest, AuthUserGetResponse, AuthUserGrantRoleRequest,
    AuthUserGrantRoleResponse, AuthUserListRequest, AuthUserListResponse, AuthUserRevokeRoleRequest,
    AuthUserRevokeRoleResponse,
};

use crate::{Client, Error};

impl Client {
    /// Switches auth on.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn auth_enable(&self) -> Result<AuthEnableResponse, Error> {
        let request = AuthEnableRequest {};
        self.write(request, |channel, request| async move { AuthClient::new(channel).auth_enable(request).await }).await
    }

    /// Switches auth off.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn auth_disable(&self) -> Result<AuthDisableResponse, Error> {
        let request = AuthDisableRequest {};
        self.write(request, |channel, request| async move { AuthClient::new(channel).auth_disable(request).await })
            .await
    }

    /// Whether auth is on, and the revision of its data.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn auth_status(&self) -> Result<AuthStatusResponse, Error> {
        let request = AuthStatusRequest {};
        self.read(request, |channel, request| async move { AuthClient::new(channel).auth_status(request).await }).await
    }

    /// Adds a user.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn user_add(&self, request: AuthUserAddRequest) -> Result<AuthUserAddResponse, Error> {
        self.write(request, |channel, request| async move { AuthClient::new(channel).user_add(request).await }).await
    }

    /// The roles of a user.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn user_get(&self, name: &str) -> Result<AuthUserGetResponse, Error> {
        let request = AuthUserGetRequest { name: name.to_owned() };
        self.read(request, |channel, request| async move { AuthClient::new(channel).user_get(request).await }).await
    }

    /// The names of all users.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn user_list(&self) -> Result<AuthUserListResponse, Error> {
        let request = AuthUserListRequest {};
        self.read(request, |channel, request| async move { AuthClient::new(channel).user_list(request).await }).await
    }

    /// Removes a user.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn user_delete(&self, name: &str) -> Result<AuthUserDeleteResponse, Error> {
        let request = AuthUserDeleteRequest { name: name.to_owned() };
        self.write(request, |channel, request| async move { AuthClient::new(channel).user_delete(request).await }).await
    }

    /// Gives a user another password.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn user_change_password(
        &self,
        request: AuthUserChangePasswordRequest,
    ) -> Result<AuthUserChangePasswordResponse, Error> {
        self.write(
            request,
            |channel, request| async move { AuthClient::new(channel).user_change_password(request).await },
        )
        .await
    }

    /// Gives a user a role.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn user_grant_role(&self, user: &str, role: &str) -> Result<AuthUserGrantRoleResponse, Error> {
        let request = AuthUserGrantRoleRequest { user: user.to_owned(), role: role.to_owned() };
        self.write(request, |channel, request| async move { AuthClient::new(channel).user_grant_role(request).await })
            .await
    }

    /// Takes a role from a user.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn user_revoke_role(&self, user: &str, role: &str) -> Result<AuthUserRevokeRoleResponse, Error> {
        let request = AuthUserRevokeRoleRequest { name: user.to_owned(), role: role.to_owned() };
        self.write(request, |channel, request| async move { AuthClient::new(channel).user_revoke_role(request).await })
            .await
    }

    /// Adds a role.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn role_add(&self, name: &str) -> Result<AuthRoleAddResponse, Error> {
        let request = AuthRoleAddRequest { name: name.to_owned() };
        self.write(request, |channel, request| async move { AuthClient::new(channel).role_add(request).await }).await
    }

    /// The permissions of a role.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn role_get(&self, role: &str) -> Result<AuthRoleGetResponse, Error> {
        let request = AuthRoleGetRequest { role: role.to_owned() };
        self.read(request, |channel, request| async move { AuthClient::new(channel).role_get(request).await }).await
    }

    /// The names of all roles.
    ///
    /// # Errors
    ///
    /// As [`Self::range`].
    pub async fn role_list(&self) -> Result<AuthRoleListResponse, Error> {
        let request = AuthRoleListRequest {};
        self.read(request, |channel, request| async move { AuthClient::new(channel).role_list(request).await }).await
    }

    /// Removes a role.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn role_delete(&self, role: &str) -> Result<AuthRoleDeleteResponse, Error> {
        let request = AuthRoleDeleteRequest { role: role.to_owned() };
        self.write(request, |channel, request| async move { AuthClient::new(channel).role_delete(request).await }).await
    }

    /// Gives a role a permission.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn role_grant_permission(
        &self,
        request: AuthRoleGrantPermissionRequest,
    ) -> Result<AuthRoleGrantPermissionResponse, Error> {
        self.write(
            request,
            |channel, request| async move { AuthClient::new(channel).role_grant_permission(request).await },
        )
        .await
    }

    /// Takes a permission from a role: the one with exactly this range.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn role_revoke_permission(
        &self,
        request: AuthRoleRevokePermissionRequest,
    ) -> Result<AuthRoleRevokePermissionResponse, Error> {
        self.write(
            request,
            |channel, request| async move { AuthClient::new(channel).role_revoke_permission(request).await },
        )
        .await
    }
}
