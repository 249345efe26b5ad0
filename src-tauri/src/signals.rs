//! The ways in which a person or the operating system asks the program to stop.

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A person pressed Ctrl-C.
    Interrupt,
    /// The system or a service manager ends the program.
    Terminate,
}

pub(crate) use platform::Signals;

#[cfg(unix)]
mod platform {
    use super::Stop;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Requests to stop, in the order in which they come.
    #[derive(Debug)]
    pub(crate) struct Signals {
        interrupt: Signal,
        terminate: Signal,
    }

    impl Signals {
        /// From now on requests to stop are ours to answer.
        pub(crate) fn listen() -> std::io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        }

        /// Waits for the next request.
        pub(crate) async fn next(&mut self) -> Stop {
            tokio::select! {
                _ = self.interrupt.recv() => Stop::Interrupt,
                _ = self.terminate.recv() => Stop::Terminate,
            }
        }
    }
}

#[cfg(windows)]
mod platform {
    use super::Stop;
    use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

    /// Requests to stop, in the order in which they come.
    #[derive(Debug)]
    pub(crate) struct Signals {
        interrupt: CtrlC,
        break_key: CtrlBreak,
        close: CtrlClose,
        shutdown: CtrlShutdown,
    }

    impl Signals {
        /// From now on requests to stop are ours to answer.
        pub(crate) fn listen() -> std::io::Result<Self> {
            Ok(Self {
                interrupt: ctrl_c()?,
                break_key: ctrl_break()?,
                close: ctrl_close()?,
                shutdown: ctrl_shutdown()?,
            })
        }

        /// Waits for the next request.
        pub(crate) async fn next(&mut self) -> Stop {
            tokio::select! {
                _ = self.interrupt.recv() => Stop::Interrupt,
                _ = self.break_key.recv() => Stop::Interrupt,
                _ = self.close.recv() => Stop::Terminate,
                _ = self.shutdown.recv() => Stop::Terminate,
            }
        }
    }
}
