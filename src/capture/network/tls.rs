//! Encrypted connections.

use std::net::Ipv4Addr;
use std::path::Path;

use rustls::pki_types::ServerName;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::task::Task;
use crate::{limits, tls};

/// Opens an encrypted connection to this host, which the certificates in `ca_file` prove, or else those of the system.
///
/// # Errors
/// One sentence.
pub(super) async fn connect(host: &str, port: u16, ca_file: Option<&Path>) -> Result<TlsStream<TcpStream>, String> {
    encrypt(dial(host, port).await?, host, ca_file).await
}

/// Opens a plain connection to this host.
///
/// # Errors
/// One sentence.
pub(super) async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    stream.map_err(|error| format!("no connection to {host}:{port}: {}", limits::explain(&error)))
}

async fn encrypt(stream: TcpStream, host: &str, ca_file: Option<&Path>) -> Result<TlsStream<TcpStream>, String> {
    let config = tls::client(ca_file)?;
    let name =
        ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| format!("{host:?} is no name for TLS"))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| match tls::is_distrust(&error) {
        true => format!(
            "the certificate of {host} is not trusted ({error}); if it is the right one, name a file that holds it under ca_file"
        ),
        false => format!("no encrypted connection to {host}: {error}"),
    })
}

/// Leads a client that speaks no TLS to an encrypted connection: through a port of this machine that takes one connection. Returns the port.
///
/// # Errors
/// One sentence.
pub(super) async fn tunnel(task: &Task, encrypted: TlsStream<TcpStream>) -> Result<u16, String> {
    let failed = |error: std::io::Error| format!("an encrypted connection cannot be passed on: {}", limits::explain(&error));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    task.spawn(async move {
        let mut encrypted = encrypted;
        if let Ok((mut plain, _)) = listener.accept().await {
            drop(listener);
            // Its end is the end of both connections, which both sides see.
            let _ = copy_bidirectional(&mut plain, &mut encrypted).await;
        }
    });
    Ok(port)
}
