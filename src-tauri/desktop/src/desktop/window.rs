//! The window, a program of its own: starts it, brings it forward, and notices when it closes. What it shows is its
//! own business.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use deskgrid_desktop::display::{NO_DISPLAY_CODE, TRY_AGAIN_CODE};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A window that does not close by then is ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WindowError {
    /// Its program could not be started.
    #[error(
        "The window could not be opened: {program}: {problem}. Install Deskgrid again, or use it in the browser."
    )]
    NotStarted { program: String, problem: std::io::Error },
    /// There is nothing to show it on.
    #[error(
        "The window could not be opened, as the display does not answer. Jobs go on; use Deskgrid in the browser."
    )]
    NoDisplay,
    /// It ended in another way than by being closed.
    #[error("The window broke ({0}). Jobs go on; open it again, or use Deskgrid in the browser.")]
    Broke(ExitStatus),
}

/// What the window tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// The person has turned to it or to something else.
    Focus,
    /// The person closed it; and then wanted to see this, before it was gone.
    Closed(Option<Asked>),
    /// It ended by itself; and was asked for this, of which it took no notice any more.
    Broke(WindowError, Option<Asked>),
}

/// What a window was last asked to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// A place in it, or whatever it shows.
    pub(crate) link: Option<String>,
}

/// How a window is to be.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// The local door that it goes through.
    pub(crate) door: PathBuf,
    /// The place that it shows first.
    pub(crate) link: Option<String>,
    /// Whether closing it only minimises it, because there is no tray to open it from again.
    pub(crate) keep: bool,
    /// Whether it begins as an entry in the task bar.
    pub(crate) minimised: bool,
}

/// The window, open or not.
#[derive(Default)]
pub(crate) struct Window {
    open: Option<Open>,
}

struct Open {
    child: Child,
    orders: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
    has_focus: bool,
    /// What it was asked to show and has not shown yet, the oldest first.
    wanted: VecDeque<Asked>,
}

impl Window {
    /// Whether it is what the person works with. One behind the browser is not.
    pub(crate) fn has_focus(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.has_focus)
    }

    /// Whether there is one, shown or minimised.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Opens it, or brings the open one forward.
    ///
    /// # Errors
    /// When its program cannot be started.
    pub(crate) async fn open(&mut self, manner: Manner) -> Result<(), WindowError> {
        if let Some(open) = &mut self.open {
            let show = manner.link.as_ref().map_or("focus".to_owned(), |link| format!("link {link}"));
            // Who sees it must not find that closing it does what it did before a tray came or went.
            let order = format!("{}{show}\n", keep_order(manner.keep));
            if open.orders.write_all(order.as_bytes()).await.is_ok() {
                open.wanted.push_back(Asked { link: manner.link });
                return Ok(());
            }
            // It is just closing: its pipe is gone already.
            self.close().await;
        }
        self.open = Some(start(&manner)?);
        Ok(())
    }

    /// From now on closing it only minimises it, or really closes it, as a tray comes and goes.
    pub(crate) async fn keep(&mut self, keep: bool) {
        if let Some(open) = &mut self.open {
            // One that is just closing takes none, and its end is told.
            let _ = open.orders.write_all(keep_order(keep).as_bytes()).await;
        }
    }

    /// Waits for what it tells next; for ever while there is none.
    pub(crate) async fn told(&mut self) -> Told {
        let Some(open) = &mut self.open else { return std::future::pending().await };
        loop {
            match open.told.next_line().await {
                Ok(Some(line)) if line == "focus" || line == "blur" => {
                    open.has_focus = line == "focus";
                    return Told::Focus;
                }
                Ok(Some(line)) if line == "shown" => drop(open.wanted.pop_front()),
                Ok(Some(_)) => {}
                _ => {
                    // It is over or about to be; dropping it sees to that.
                    let end = tokio::time::timeout(CLOSE_TIMEOUT, open.child.wait()).await;
                    let wanted = open.wanted.pop_back();
                    self.open = None;
                    return told_by(end.ok().and_then(Result::ok), wanted);
                }
            }
        }
    }

    /// Closes it and waits for its end.
    pub(crate) async fn close(&mut self) {
        let Some(Open { mut child, orders, .. }) = self.open.take() else { return };
        // It ends when nobody can give it orders any more.
        drop(orders);
        if tokio::time::timeout(CLOSE_TIMEOUT, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

fn keep_order(keep: bool) -> &'static str {
    if keep { "keep on\n" } else { "keep off\n" }
}

fn told_by(end: Option<ExitStatus>, wanted: Option<Asked>) -> Told {
    match end {
        Some(end) if end.code() == Some(NO_DISPLAY_CODE.into()) => {
            Told::Broke(WindowError::NoDisplay, wanted)
        }
        Some(end) if !end.success() => Told::Broke(WindowError::Broke(end), wanted),
        _ => Told::Closed(wanted),
    }
}

fn start(manner: &Manner) -> Result<Open, WindowError> {
    let program = program();
    let mut command = command(&program, manner);
    command.arg("--owned");
    owned(command).map_err(|problem| not_started(&program, problem))
}

/// Starts a program that takes our orders and tells us of itself.
fn owned(mut command: Command) -> std::io::Result<Open> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (orders, told) = pipes.ok_or(std::io::ErrorKind::BrokenPipe)?;
    Ok(Open { child, orders, told: BufReader::new(told).lines(), has_focus: false, wanted: VecDeque::new() })
}

fn not_started(program: &Path, problem: std::io::Error) -> WindowError {
    WindowError::NotStarted { program: program.display().to_string(), problem }
}

/// Opens a window that belongs to nobody, onto a Deskgrid that has no app, and gives how it ended. It says itself why.
///
/// # Errors
/// When its program cannot be started.
pub(crate) async fn run_alone(manner: &Manner) -> Result<ExitStatus, WindowError> {
    let program = program();
    command(&program, manner).status().await.map_err(|problem| not_started(&program, problem))
}

/// Says in a window why Deskgrid could not start, and whether the person wants it tried again. Where no window can be
/// shown nobody does.
pub(crate) async fn wants_another(words: &str) -> bool {
    let asked = Command::new(program()).arg("--problem").arg(words).kill_on_drop(true).status().await;
    asked.is_ok_and(|end| end.code() == Some(TRY_AGAIN_CODE.into()))
}

fn command(program: &Path, manner: &Manner) -> Command {
    let mut command = Command::new(program);
    command.arg("--door").arg(&manner.door);
    if let Some(link) = &manner.link {
        command.arg("--link").arg(link);
    }
    if manner.keep {
        command.arg("--keep");
    }
    if manner.minimised {
        command.arg("--minimised");
    }
    command
}

/// It lies beside this program.
fn program() -> PathBuf {
    let name = format!("deskgrid-window{}", std::env::consts::EXE_SUFFIX);
    std::env::current_exe().map_or_else(|_| PathBuf::from(&name), |program| program.with_file_name(&name))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A program in place of the window, which says and does what `script` says.
    fn played_by(script: &str) -> Window {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Window { open: owned(command).ok() }
    }

    fn to(link: Option<&str>) -> Manner {
        let link = link.map(str::to_owned);
        Manner { door: PathBuf::new(), link, keep: false, minimised: false }
    }

    async fn end(window: &mut Window) -> Told {
        loop {
            match window.told().await {
                Told::Focus => {}
                end => return end,
            }
        }
    }

    #[tokio::test]
    async fn what_a_window_did_not_show_before_it_closed_is_told_with_its_end() {
        let mut window =
            played_by("read keep; read first; echo shown; read keep; read second; read keep; read third");
        for link in [None, Some("#/queue"), Some("#/job/0f")] {
            window.open(to(link)).await.unwrap();
        }
        let wanted = Asked { link: Some("#/job/0f".to_owned()) };
        assert!(matches!(end(&mut window).await, Told::Closed(Some(link)) if link == wanted));
        assert!(!window.is_open());
    }

    #[tokio::test]
    async fn what_a_window_did_not_show_before_it_was_killed_is_told_with_its_end() {
        let script = "read keep; read first; echo shown; read keep; read second; kill -KILL $$";
        let mut window = played_by(script);
        for link in [None, Some("#/queue")] {
            window.open(to(link)).await.unwrap();
        }
        let wanted = Asked { link: Some("#/queue".to_owned()) };
        assert!(matches!(end(&mut window).await, Told::Broke(_, Some(asked)) if asked == wanted));
    }

    #[tokio::test]
    async fn what_a_window_has_shown_is_not_wanted_any_more_when_it_closes() {
        let mut window = played_by("read keep; read first; echo shown; echo blur");
        window.open(to(None)).await.unwrap();
        assert!(matches!(end(&mut window).await, Told::Closed(None)));
        assert!(matches!(end(&mut played_by("exit 1")).await, Told::Broke(WindowError::Broke(_), _)));
    }
}
