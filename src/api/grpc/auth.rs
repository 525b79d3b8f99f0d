//! Auth: switching it on and off, tokens, users, roles. Who may ask for what is decided below; here it is translated.

use bytes::Bytes;
use model::{Access, AuthCommand, Identity, KeyRange, Permission, Rejection};
use proto::authpb;
use proto::authpb::permission::Type;
use proto::etcdserverpb as pb;
use tonic::{Request, Response, Status};

use crate::calls::Method;
use crate::error::status;
use crate::grpc::edge::Edge;

/// The service.
#[derive(Debug)]
pub(crate) struct Auth {
    edge: Edge,
}

impl Auth {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }

    /// Who asks, and what.
    async fn take<T>(&self, request: Request<T>) -> Result<(Identity, T), Status> {
        self.edge.admit(request.metadata())?;
        let (metadata, extensions, asked) = request.into_parts();
        Ok((self.edge.caller(&metadata, &extensions).await?, asked))
    }

    fn header(&self) -> Option<pb::ResponseHeader> {
        Some(self.edge.header_now())
    }

    async fn change(&self, caller: Identity, command: AuthCommand) -> Result<Option<pb::ResponseHeader>, Status> {
        let revision = self.edge.handle().change_auth(caller, command).await.map_err(status)?;
        Ok(Some(self.edge.header(revision)))
    }

    /// Changes what `command` makes of the request.
    async fn change_as<T>(
        &self,
        request: Request<T>,
        command: impl FnOnce(T) -> AuthCommand,
    ) -> Result<Option<pb::ResponseHeader>, Status> {
        let (caller, asked) = self.take(request).await?;
        self.change(caller, command(asked)).await
    }

    async fn hash(&self, caller: &Identity, password: String) -> Result<Bytes, Status> {
        self.edge.handle().hash_password(caller, password).await.map_err(status)
    }

    async fn answer_status(&self, request: Request<pb::AuthStatusRequest>) -> Result<pb::AuthStatusResponse, Status> {
        let (caller, _) = self.take(request).await?;
        let auth = self.edge.handle().auth_status(&caller).await.map_err(status)?;
        Ok(pb::AuthStatusResponse { header: self.header(), enabled: auth.enabled, auth_revision: auth.revision })
    }

    /// Whoever has no valid token yet is the one who asks.
    async fn answer_authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<pb::AuthenticateResponse, Status> {
        self.edge.admit(request.metadata())?;
        let pb::AuthenticateRequest { name, password } = request.into_inner();
        let (revision, token) = self.edge.handle().authenticate(name, password).await.map_err(status)?;
        Ok(pb::AuthenticateResponse { header: Some(self.edge.header(revision)), token })
    }

    async fn answer_user_add(
        &self,
        request: Request<pb::AuthUserAddRequest>,
    ) -> Result<pb::AuthUserAddResponse, Status> {
        let (caller, asked) = self.take(request).await?;
        let pb::AuthUserAddRequest { name, password, options, .. } = asked;
        let has_password = !options.is_some_and(|options| options.no_password);
        let password = if has_password { Some(self.hash(&caller, password).await?) } else { None };
        let header = self.change(caller, AuthCommand::UserAdd { name, password }).await?;
        Ok(pb::AuthUserAddResponse { header })
    }

    async fn answer_change_password(
        &self,
        request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Result<pb::AuthUserChangePasswordResponse, Status> {
        let (caller, asked) = self.take(request).await?;
        let password = self.hash(&caller, asked.password).await?;
        let header = self.change(caller, AuthCommand::UserChangePassword { name: asked.name, password }).await?;
        Ok(pb::AuthUserChangePasswordResponse { header })
    }

    async fn answer_user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<pb::AuthUserGetResponse, Status> {
        let (caller, asked) = self.take(request).await?;
        let roles = self.edge.handle().user_roles(&caller, &asked.name).await.map_err(status)?;
        Ok(pb::AuthUserGetResponse { header: self.header(), roles })
    }

    async fn answer_users(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<pb::AuthUserListResponse, Status> {
        let (caller, _) = self.take(request).await?;
        let users = self.edge.handle().users(&caller).await.map_err(status)?;
        Ok(pb::AuthUserListResponse { header: self.header(), users })
    }

    async fn answer_role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<pb::AuthRoleGetResponse, Status> {
        let (caller, asked) = self.take(request).await?;
        let permissions = self.edge.handle().role_permissions(&caller, &asked.role).await.map_err(status)?;
        Ok(pb::AuthRoleGetResponse { header: self.header(), perm: permissions.into_iter().map(to_wire).collect() })
    }

    async fn answer_roles(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<pb::AuthRoleListResponse, Status> {
        let (caller, _) = self.take(request).await?;
        let roles = self.edge.handle().roles(&caller).await.map_err(status)?;
        Ok(pb::AuthRoleListResponse { header: self.header(), roles })
    }

    async fn answer_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Result<pb::AuthRoleGrantPermissionResponse, Status> {
        let (caller, asked) = self.take(request).await?;
        self.edge.handle().permit_root(&caller).map_err(status)?;
        let permission = from_wire(asked.perm).map_err(status)?;
        let command = AuthCommand::RoleGrantPermission { role: asked.name, permission };
        Ok(pb::AuthRoleGrantPermissionResponse { header: self.change(caller, command).await? })
    }
}

fn from_wire(permission: Option<authpb::Permission>) -> Result<Permission, Rejection> {
    let authpb::Permission { perm_type, key, range_end } = permission.ok_or(Rejection::PermissionNotGiven)?;
    let access = match Type::try_from(perm_type).map_err(|_| Rejection::InvalidAuthManagement)? {
        Type::Read => Access::Read,
        Type::Write => Access::Write,
        Type::Readwrite => Access::ReadWrite,
    };
    Ok(Permission { access, range: KeyRange::from_wire(key, range_end) })
}

fn to_wire(permission: Permission) -> authpb::Permission {
    let access = match permission.access {
        Access::Read => Type::Read,
        Access::Write => Type::Write,
        Access::ReadWrite => Type::Readwrite,
    };
    let (key, range_end) = (permission.range.start().clone(), permission.range.range_end());
    authpb::Permission { perm_type: access.into(), key, range_end }
}

#[tonic::async_trait]
impl pb::auth_server::Auth for Auth {
    async fn auth_enable(
        &self,
        request: Request<pb::AuthEnableRequest>,
    ) -> Result<Response<pb::AuthEnableResponse>, Status> {
        let call = self.edge.calls().unary(Method::AuthEnable);
        let changed = self.change_as(request, |_| AuthCommand::Enable).await;
        call.answer(changed.map(|header| pb::AuthEnableResponse { header }))
    }

    async fn auth_disable(
        &self,
        request: Request<pb::AuthDisableRequest>,
    ) -> Result<Response<pb::AuthDisableResponse>, Status> {
        let call = self.edge.calls().unary(Method::AuthDisable);
        let changed = self.change_as(request, |_| AuthCommand::Disable).await;
        call.answer(changed.map(|header| pb::AuthDisableResponse { header }))
    }

    async fn auth_status(
        &self,
        request: Request<pb::AuthStatusRequest>,
    ) -> Result<Response<pb::AuthStatusResponse>, Status> {
        let call = self.edge.calls().unary(Method::AuthStatus);
        call.answer(self.answer_status(request).await)
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        let call = self.edge.calls().unary(Method::Authenticate);
        call.answer(self.answer_authenticate(request).await)
    }

    async fn user_add(
        &self,
        request: Request<pb::AuthUserAddRequest>,
    ) -> Result<Response<pb::AuthUserAddResponse>, Status> {
        let call = self.edge.calls().unary(Method::UserAdd);
        call.answer(self.answer_user_add(request).await)
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<Response<pb::AuthUserGetResponse>, Status> {
        let call = self.edge.calls().unary(Method::UserGet);
        call.answer(self.answer_user_get(request).await)
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<Response<pb::AuthUserListResponse>, Status> {
        let call = self.edge.calls().unary(Method::UserList);
        call.answer(self.answer_users(request).await)
    }

    async fn user_delete(
        &self,
        request: Request<pb::AuthUserDeleteRequest>,
    ) -> Result<Response<pb::AuthUserDeleteResponse>, Status> {
        let call = self.edge.calls().unary(Method::UserDelete);
        let changed = self.change_as(request, |asked| AuthCommand::UserDelete { name: asked.name }).await;
        call.answer(changed.map(|header| pb::AuthUserDeleteResponse { header }))
    }

    async fn user_change_password(
        &self,
        request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Result<Response<pb::AuthUserChangePasswordResponse>, Status> {
        let call = self.edge.calls().unary(Method::UserChangePassword);
        call.answer(self.answer_change_password(request).await)
    }

    async fn user_grant_role(
        &self,
        request: Request<pb::AuthUserGrantRoleRequest>,
    ) -> Result<Response<pb::AuthUserGrantRoleResponse>, Status> {
        let call = self.edge.calls().unary(Method::UserGrantRole);
        let command = |pb::AuthUserGrantRoleRequest { user, role }| AuthCommand::UserGrantRole { user, role };
        let changed = self.change_as(request, command).await;
        call.answer(changed.map(|header| pb::AuthUserGrantRoleResponse { header }))
    }

    async fn user_revoke_role(
        &self,
        request: Request<pb::AuthUserRevokeRoleRequest>,
    ) -> Result<Response<pb::AuthUserRevokeRoleResponse>, Status> {
        let call = self.edge.calls().unary(Method::UserRevokeRole);
        let command = |pb::AuthUserRevokeRoleRequest { name, role }| AuthCommand::UserRevokeRole { user: name, role };
        let changed = self.change_as(request, command).await;
        call.answer(changed.map(|header| pb::AuthUserRevokeRoleResponse { header }))
    }

    async fn role_add(
        &self,
        request: Request<pb::AuthRoleAddRequest>,
    ) -> Result<Response<pb::AuthRoleAddResponse>, Status> {
        let call = self.edge.calls().unary(Method::RoleAdd);
        let changed = self.change_as(request, |asked| AuthCommand::RoleAdd { name: asked.name }).await;
        call.answer(changed.map(|header| pb::AuthRoleAddResponse { header }))
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<Response<pb::AuthRoleGetResponse>, Status> {
        let call = self.edge.calls().unary(Method::RoleGet);
        call.answer(self.answer_role_get(request).await)
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<Response<pb::AuthRoleListResponse>, Status> {
        let call = self.edge.calls().unary(Method::RoleList);
        call.answer(self.answer_roles(request).await)
    }

    async fn role_delete(
        &self,
        request: Request<pb::AuthRoleDeleteRequest>,
    ) -> Result<Response<pb::AuthRoleDeleteResponse>, Status> {
        let call = self.edge.calls().unary(Method::RoleDelete);
        let changed = self.change_as(request, |asked| AuthCommand::RoleDelete { name: asked.role }).await;
        call.answer(changed.map(|header| pb::AuthRoleDeleteResponse { header }))
    }

    async fn role_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Result<Response<pb::AuthRoleGrantPermissionResponse>, Status> {
        let call = self.edge.calls().unary(Method::RoleGrantPermission);
        call.answer(self.answer_grant_permission(request).await)
    }

    async fn role_revoke_permission(
        &self,
        request: Request<pb::AuthRoleRevokePermissionRequest>,
    ) -> Result<Response<pb::AuthRoleRevokePermissionResponse>, Status> {
        let call = self.edge.calls().unary(Method::RoleRevokePermission);
        let command = |pb::AuthRoleRevokePermissionRequest { role, key, range_end }| {
            AuthCommand::RoleRevokePermission { role, range: KeyRange::from_wire(key, range_end) }
        };
        let changed = self.change_as(request, command).await;
        call.answer(changed.map(|header| pb::AuthRoleRevokePermissionResponse { header }))
    }
}
