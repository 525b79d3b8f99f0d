//! A server that answers as it is told, and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use proto::etcdserverpb::auth_server::{Auth, AuthServer};
use proto::etcdserverpb::kv_server::{Kv, KvServer};
use proto::etcdserverpb::*;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What was asked: the method, and the token that came with it.
pub(super) type Asked = (&'static str, Option<String>);

#[derive(Clone, Debug, Default)]
pub(super) struct Mock {
    answers: Arc<Mutex<VecDeque<Status>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Mock {
    /// Answers these errors first, and successes after them.
    pub(super) fn failing(answers: impl IntoIterator<Item = Status>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), asked: Arc::default() }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.asked.lock().iter().filter(|(asked, _)| *asked == method).count()
    }

    /// Serves on a free port for as long as the runtime lives.
    pub(super) async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(self.server().serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }

    pub(super) fn server(&self) -> tonic::transport::server::Router {
        Server::builder().add_service(KvServer::new(self.clone())).add_service(AuthServer::new(self.clone()))
    }

    fn answer<Q, A: Default>(&self, method: &'static str, request: &Request<Q>) -> Result<Response<A>, Status> {
        let token = request.metadata().get("token").and_then(|token| token.to_str().ok()).map(str::to_owned);
        self.asked.lock().push((method, token));
        match self.answers.lock().pop_front() {
            Some(status) => Err(status),
            None => Ok(Response::new(A::default())),
        }
    }
}

#[tonic::async_trait]
impl Kv for Mock {
    type RangeStreamStream = Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        self.answer("range", &request)
    }

    async fn range_stream(&self, _: Request<RangeRequest>) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        self.answer("put", &request)
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        self.answer("delete", &request)
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        self.answer("txn", &request)
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        self.answer("compact", &request)
    }
}

/// The calls of auth that are only remembered, and the one that gives tokens: `token-1`, `token-2`, …
macro_rules! auth {
    ($($method:ident $request:ident $response:ident),+ $(,)?) => {
        #[tonic::async_trait]
        impl Auth for Mock {
            async fn authenticate(
                &self,
                request: Request<AuthenticateRequest>,
            ) -> Result<Response<AuthenticateResponse>, Status> {
                let is_right = request.get_ref().password == "right";
                self.asked.lock().push(("authenticate", None));
                if !is_right {
                    let text = "etcdserver: authentication failed, invalid user ID or password";
                    return Err(Status::invalid_argument(text));
                }
                let token = format!("token-{}", self.count("authenticate"));
                Ok(Response::new(AuthenticateResponse { token, ..AuthenticateResponse::default() }))
            }

            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                self.answer(stringify!($method), &request)
            })+
        }
    };
}

auth! {
    auth_enable AuthEnableRequest AuthEnableResponse,
    auth_disable AuthDisableRequest AuthDisableResponse,
    auth_status AuthStatusRequest AuthStatusResponse,
    user_add AuthUserAddRequest AuthUserAddResponse,
    user_get AuthUserGetRequest AuthUserGetResponse,
    user_list AuthUserListRequest AuthUserListResponse,
    user_delete AuthUserDeleteRequest AuthUserDeleteResponse,
    user_change_password AuthUserChangePasswordRequest AuthUserChangePasswordResponse,
    user_grant_role AuthUserGrantRoleRequest AuthUserGrantRoleResponse,
    user_revoke_role AuthUserRevokeRoleRequest AuthUserRevokeRoleResponse,
    role_add AuthRoleAddRequest AuthRoleAddResponse,
    role_get AuthRoleGetRequest AuthRoleGetResponse,
    role_list AuthRoleListRequest AuthRoleListResponse,
    role_delete AuthRoleDeleteRequest AuthRoleDeleteResponse,
    role_grant_permission AuthRoleGrantPermissionRequest AuthRoleGrantPermissionResponse,
    role_revoke_permission AuthRoleRevokePermissionRequest AuthRoleRevokePermissionResponse,
}
