//! The emulator inside this process, for `--emulator`.
//!
//! **Owns** the life of its server, and how an emulator and its listener are opened. **Does not** know what the API answers,
//! which is `emulator`'s.

use std::error::Error as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::error::CommandError;
use crate::emulator::{Emulator, EmulatorOptions, FileAccess, OpenError};
use crate::lightsail::aws::Keys;
use crate::model::Code;

/// The error with its cause. A cause that has causes of its own displays them.
impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        let code = match error {
            OpenError::Inventory { .. } | OpenError::Operations { .. } => Code::Document,
            OpenError::Io { .. } | OpenError::NotAFile { .. } | OpenError::InUse { .. } => {
                Code::File
            }
        };
        let cause = error.source().map(|cause| format!(": {cause}"));
        Self::failed(format!("{error}{}", cause.unwrap_or_default())).with_code(code)
    }
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        CommandError::failed(format!("cannot listen on {address}: {error}")).with_code(Code::Listen)
    })
}

pub(super) fn url(listener: &TcpListener) -> Result<String, CommandError> {
    let address = listener.local_addr().map_err(|error| {
        CommandError::failed(format!("no address to listen on: {error}")).with_code(Code::Listen)
    })?;
    Ok(format!("http://{address}"))
}

/// An emulator that lives inside this process for the length of one verb.
pub(super) struct Embedded {
    pub(super) url: String,
    /// The only credentials that it accepts.
    pub(super) keys: Keys,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Embedded {
    /// Loads and locks the file and serves it on a free loopback port. Only a verb that writes may change the file.
    pub(super) async fn start(path: &Path, access: FileAccess) -> Result<Self, CommandError> {
        let options = EmulatorOptions::default();
        let keys = Keys {
            access_key_id: options.access_key.clone(),
            secret_access_key: options.secret_key.clone(),
            session_token: None,
        };
        let emulator = Emulator::open(path, access, options)?;
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = url(&listener)?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::task::spawn_local(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            emulator.serve(listener, shutdown).await
        });
        Ok(Self {
            url,
            keys,
            stop,
            server,
        })
    }

    /// Stops the server and waits for its end.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
    }
}
