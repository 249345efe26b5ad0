//! Where an engine listens, and reaching it there. Not which of several engines to take: that is `discovery`.

use std::fmt;
use std::path::{Path, PathBuf};

use bollard::{API_DEFAULT_VERSION, Docker};

/// Bollard's own time limit, in seconds. It would end long waits and big uploads, so it is set beyond any of them;
/// every call has a limit of its own instead (see `engine`).
const NO_LIMIT: u64 = 365 * 24 * 3600;

/// The address of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A Windows named pipe, in the form `//./pipe/name`.
    Pipe(String),
    /// Host and port of an unencrypted TCP connection.
    Tcp(String),
    /// Something we cannot talk to; kept so that the person is told instead of getting another engine.
    Unusable {
        /// What was written.
        text: String,
        /// Why it does not work, as a sentence.
        reason: String,
    },
}

impl Address {
    /// Reads an address as `DOCKER_HOST` has it; a bare absolute path is a socket, bare `host:port` is TCP.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let unusable = |reason: &str| Self::Unusable { text: text.to_owned(), reason: reason.to_owned() };
        match text.split_once("://") {
            Some(("unix", path)) if !path.is_empty() => Self::Unix(path.into()),
            Some(("npipe", pipe)) if !pipe.is_empty() => Self::Pipe(pipe.replace('\\', "/")),
            Some(("tcp" | "http", host)) if !host.is_empty() => Self::tcp(host),
            Some(("ssh", _)) => unusable(
                "Engines over ssh are not supported. Forward the engine's socket with `ssh -L` and name that socket.",
            ),
            Some(("https", _)) => unusable("Engines over TLS are not supported."),
            None if text.starts_with('/') => Self::Unix(text.into()),
            None if text.contains(':') => Self::tcp(text),
            Some(_) | None => unusable("An address starts with unix://, npipe:// or tcp://."),
        }
    }

    fn tcp(host: &str) -> Self {
        let host = host.trim_end_matches('/');
        // A port may be left out; 2375 is the registered one of the unencrypted API.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Self::Tcp(if has_port { host.to_owned() } else { format!("{host}:2375") })
    }

    /// Whether the engine is on this computer, so that paths may mean the same to it as to us.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Pipe(_))
    }

    /// The socket's path, where there is one.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// Connects and hangs up again: tells whether anyone listens, at next to no cost to either side.
    pub(crate) async fn reach(&self) -> std::io::Result<()> {
        match self {
            Self::Unix(path) => local::reach_socket(path).await,
            Self::Pipe(pipe) => local::reach_pipe(pipe),
            Self::Tcp(host) => tokio::net::TcpStream::connect(host).await.map(drop),
            Self::Unusable { reason, .. } => Err(std::io::Error::other(reason.clone())),
        }
    }

    /// A client for this address. It connects with the first call.
    pub(crate) fn client(&self) -> Result<Docker, bollard::errors::Error> {
        match self {
            Self::Unix(_) | Self::Pipe(_) => {
                Docker::connect_with_local(&self.to_string(), NO_LIMIT, API_DEFAULT_VERSION)
            }
            Self::Tcp(_) => Docker::connect_with_http(&self.to_string(), NO_LIMIT, API_DEFAULT_VERSION),
            Self::Unusable { text, .. } => {
                Err(bollard::errors::Error::UnsupportedURISchemeError { uri: text.clone() })
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Pipe(pipe) => write!(f, "npipe://{pipe}"),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Unusable { text, .. } => f.write_str(text),
        }
    }
}

#[cfg(unix)]
mod local {
    //! Unix has sockets and no named pipes.
    use std::io;
    use std::path::Path;

    pub(super) async fn reach_socket(path: &Path) -> io::Result<()> {
        tokio::net::UnixStream::connect(path).await.map(drop)
    }

    pub(super) fn reach_pipe(_pipe: &str) -> io::Result<()> {
        Err(io::Error::other("Named pipes exist on Windows only."))
    }
}

#[cfg(windows)]
mod local {
    //! Windows engines listen on named pipes.
    use std::io;
    use std::path::Path;

    /// The system's code for a pipe that exists while all its instances are in use.
    const PIPE_BUSY: i32 = 231;

    #[expect(clippy::unused_async, reason = "its Unix counterpart waits")]
    pub(super) async fn reach_socket(_path: &Path) -> io::Result<()> {
        Err(io::Error::other("Unix sockets are not supported on Windows; use npipe://."))
    }

    pub(super) fn reach_pipe(pipe: &str) -> io::Result<()> {
        match tokio::net::windows::named_pipe::ClientOptions::new().open(pipe.replace('/', "\\")) {
            Err(error) if error.raw_os_error() != Some(PIPE_BUSY) => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_host_has_them() {
        let unix = |path: &str| Address::Unix(path.into());
        assert_eq!(Address::parse("unix:///run/d.sock"), unix("/run/d.sock"));
        assert_eq!(Address::parse("/run/d.sock"), unix("/run/d.sock"));
        assert_eq!(Address::parse("tcp://10.0.0.1:2375/"), Address::Tcp("10.0.0.1:2375".into()));
        assert_eq!(Address::parse("tcp://box"), Address::Tcp("box:2375".into()));
        assert_eq!(Address::parse("localhost:99"), Address::Tcp("localhost:99".into()));
        assert_eq!(
            Address::parse("npipe:////./pipe/docker_engine"),
            Address::Pipe("//./pipe/docker_engine".into())
        );
    }

    #[test]
    fn addresses_we_cannot_use_say_why() {
        for text in ["ssh://me@box", "https://box:2376", "ftp://x", "nonsense", "unix://"] {
            let Address::Unusable { reason, .. } = Address::parse(text) else { panic!("{text}") };
            assert!(reason.ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn an_address_reads_back_from_its_text() {
        for text in ["unix:///a b/c:d.sock", "tcp://h:1", "npipe:////./pipe/x"] {
            assert_eq!(Address::parse(text).to_string(), text);
        }
    }
}
