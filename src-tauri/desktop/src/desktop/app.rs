//! The app while it runs: one loop that hears what happens in Deskgrid, in the tray, in the window and through the
//! API, and sees to it that each shows what it should. Decisions are in [`crate::view`], [`crate::click`] and
//! [`crate::notices`]; here are the effects.

mod leaving;
mod presence;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deskgrid_desktop::door::Door;
use deskgrid_desktop::link;
use deskgrid_server::Relocation;
use deskgrid_server::settings::SettingsSource;
use deskgrid_wire::sse::Event;
use tokio::sync::{mpsc, watch};

use crate::awake::Awake;
use crate::click::Click;
use crate::clipboard::Clipboard;
use crate::errands::{Brought, Errands};
use crate::follow::{Followed, Follower};
use crate::known::{Known, News, Wanted};
use crate::leave::LeaveSignals;
use crate::notices::{self, Wish};
use crate::notify::Notifier;
use crate::remembered::{Notebook, Remembered};
use crate::rooms::{Order, Rooms};
use crate::tray::TrayPort;
use crate::view::{Standing, view};
use crate::window::{Told, Window};
use deskgrid_desktop::text;

/// Times in the menu are that fresh, while jobs run.
const TICK: Duration = Duration::from_secs(10);
/// A desktop that starts its panel anew is back by then.
const TRAY_PATIENCE: Duration = Duration::from_secs(5);
/// A window that breaks sooner after another is not opened once more.
const BREAKS_APART: Duration = Duration::from_secs(10);

/// What the very first window shows: how to get going.
const FIRST_PLACE: &str = "#/start";

/// What a start is about.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) source: SettingsSource,
    /// Nobody is waiting for a window.
    pub(crate) hidden: bool,
    /// The place to show at once.
    pub(crate) link: Option<String>,
    /// The port is to be opened: it was not shut by the person.
    pub(crate) opens: bool,
}

/// What comes next.
enum Happened {
    Clicked(Click),
    Ordered(Order),
    Followed(Followed),
    Brought(Brought),
    Window(Told),
    Wishes(Box<Relocation>),
    TrayChanged,
    TimeToShow,
    TimeToLeave,
}

/// Whether the app goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Course {
    On,
    Leave,
    /// Nothing of the app can be seen.
    Hide,
    Move(Box<Relocation>),
}

/// How the app ended.
pub(crate) enum Ending {
    /// The person left.
    Left,
    /// There is neither a tray nor a display, so that nobody could ever reach it.
    Unseen,
    /// The rooms are to move. All that is needed to open them again at the new place goes along.
    Moves(Box<Moving>),
}

/// What outlives a move of the rooms.
pub(crate) struct Moving {
    pub(crate) rooms: Rooms,
    pub(crate) way: Relocation,
    pub(crate) tray: TrayPort,
    pub(crate) signals: LeaveSignals,
    pub(crate) window: Window,
}

/// How others reach the app, and learn what it is about.
pub(crate) struct Ears {
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// Told whether the app waits for running jobs and leaves then.
    pub(crate) quitting: watch::Sender<bool>,
    pub(crate) signals: LeaveSignals,
}

/// The app with its rooms open.
pub(crate) struct App {
    rooms: Rooms,
    tray: TrayPort,
    ears: Ears,
    follower: Follower,
    errands: Errands,
    window: Window,
    notifier: Notifier,
    noticed: mpsc::UnboundedReceiver<Click>,
    clipboard: Clipboard,
    notebook: Notebook,
    remembered: Remembered,
    standing: Standing,
    known: Known,
    wish: Wish,
    awake: Awake,
    /// When jobs that were to end before the app leaves are not waited for any longer.
    patience: Option<tokio::time::Instant>,
    /// Since when the system shows no icon.
    tray_gone: Option<tokio::time::Instant>,
    /// When the window broke last.
    broke: Option<tokio::time::Instant>,
}

impl App {
    /// The app over open rooms.
    pub(crate) async fn new(rooms: Rooms, door: Door, tray: TrayPort, ears: Ears) -> Self {
        let (notifier, noticed) = Notifier::new();
        let notebook = Notebook::of(rooms.data_directory());
        let remembered = on_disk(&notebook, Notebook::read).await;
        Self {
            follower: Follower::start(door.clone()),
            errands: Errands::through(door),
            rooms,
            tray,
            ears,
            window: Window::default(),
            notifier,
            noticed,
            clipboard: Clipboard::default(),
            notebook,
            remembered,
            standing: Standing::Open,
            known: Known::default(),
            wish: Wish::default(),
            awake: Awake::default(),
            patience: None,
            tray_gone: None,
            broke: None,
        }
    }

    /// Runs until the person leaves, and closes everything; or until the rooms have to move.
    pub(crate) async fn run(mut self, plan: Plan) -> Ending {
        if plan.opens {
            self.rooms.open_port().await;
        }
        self.greet(plan).await;
        loop {
            let happened = self.next().await;
            match self.take(happened).await {
                Course::On => {}
                Course::Leave => {
                    self.leave().await;
                    return Ending::Left;
                }
                Course::Hide => {
                    self.leave().await;
                    return Ending::Unseen;
                }
                Course::Move(way) => return self.move_out(*way),
            }
            self.awake.follow(self.running_count());
            self.tray.show(view(&self.standing, &self.known, now()));
        }
    }

    fn move_out(self, way: Relocation) -> Ending {
        self.tray.show(view(&Standing::Moving(way.to().to_owned()), &self.known, now()));
        let Self { rooms, tray, ears, window, .. } = self;
        Ending::Moves(Box::new(Moving { rooms, way, tray, signals: ears.signals, window }))
    }

    /// The first start opens the window, and so does each where it is all there is.
    async fn greet(&mut self, plan: Plan) {
        let is_first = !self.remembered.welcomed;
        if plan.link.is_some() || (is_first && !plan.hidden) || !self.has_tray() {
            let first_place = || (is_first && !plan.hidden).then(|| FIRST_PLACE.to_owned());
            self.open_window(plan.link.or_else(first_place), plan.hidden).await;
        }
        if is_first && !plan.hidden {
            self.remember(Remembered { welcomed: true, ..self.remembered }).await;
        }
    }

    async fn next(&mut self) -> Happened {
        tokio::select! {
            Some(click) = self.tray.clicks.recv() => Happened::Clicked(click),
            Some(click) = self.noticed.recv() => Happened::Clicked(click),
            Some(order) = self.ears.orders.recv() => Happened::Ordered(order),
            followed = self.follower.next() => Happened::Followed(followed),
            brought = self.errands.next() => Happened::Brought(brought),
            told = self.window.told() => Happened::Window(told),
            way = self.rooms.wants_to_move() => Happened::Wishes(Box::new(way)),
            Ok(()) = self.tray.is_shown.changed() => Happened::TrayChanged,
            () = at(self.tray_gone.map(|gone| gone + TRAY_PATIENCE)) => Happened::TrayChanged,
            () = at(self.patience) => Happened::TimeToLeave,
            () = self.ears.signals.next() => Happened::TimeToLeave,
            // Nothing ticks while nothing runs.
            () = tokio::time::sleep(TICK), if !self.known.running.is_empty() => Happened::TimeToShow,
        }
    }

    async fn take(&mut self, happened: Happened) -> Course {
        match happened {
            Happened::Clicked(click) => return self.click(click).await,
            Happened::Ordered(Order::Quit(jobs)) => return self.quit(jobs),
            Happened::Ordered(Order::Stay) => self.stay(),
            Happened::Ordered(Order::OpenWindow(link)) => {
                self.open_window(link.and_then(|link| link::place(&link).ok()), false).await;
            }
            Happened::Followed(Followed::Begun) => {
                self.known.begin().into_iter().for_each(|wanted| self.errands.fetch(wanted));
            }
            Happened::Followed(Followed::Event(event)) => {
                self.hear(&event);
                return self.course();
            }
            Happened::Brought(brought) => self.bring(brought),
            Happened::Window(Told::Closed(asked)) => self.window_closed(asked).await,
            Happened::Window(Told::Broke(error, asked)) => return self.window_broke(&error, asked).await,
            Happened::TrayChanged => self.tray_changed().await,
            Happened::TimeToLeave => return Course::Leave,
            Happened::Wishes(way) => return Course::Move(way),
            Happened::Window(Told::Focus) | Happened::TimeToShow => {}
        }
        Course::On
    }

    async fn click(&mut self, click: Click) -> Course {
        if let Some(call) = click.call() {
            self.errands.call(call);
            return Course::On;
        }
        match click {
            Click::Quit(jobs) => return self.quit(jobs),
            Click::Stay => self.stay(),
            Click::OpenWindow => self.open_window(None, false).await,
            Click::OpenPlace(place) => self.open_window(Some(place), false).await,
            Click::OpenBrowser => {
                if let Some(desk) = &self.known.desk {
                    self.errands.dashboard(&desk.address);
                }
            }
            Click::CopyAddress => self.copy_address().await,
            _ => {}
        }
        Course::On
    }

    fn bring(&mut self, brought: Brought) {
        match brought {
            Brought::Jobs(jobs) => self.known.take_jobs(jobs),
            Brought::Asking(asking) => {
                let news = self.known.take_asking(asking);
                self.tell(&news);
            }
            Brought::Wishes { notifications, awake } => {
                self.wish = notifications;
                self.awake.set(awake);
            }
            Brought::Dashboard(page) => {
                if let Err(error) = open::that_detached(&page) {
                    self.notifier.send(notices::failed(&text::no_browser(&error.to_string())));
                }
            }
            Brought::Answered(event) => self.hear(&event),
            Brought::Missed(Wanted::Jobs) => self.known.miss_jobs(),
            Brought::Missed(_) => {}
            Brought::Failed(words) => self.notifier.send(notices::failed(&words)),
        }
    }

    /// Takes an event in; what it does not know is left out there.
    fn hear(&mut self, event: &Event) {
        let heard = self.known.hear(event);
        heard.wanted.into_iter().for_each(|wanted| self.errands.fetch(wanted));
        self.tell(&heard.news);
    }

    fn tell(&mut self, news: &[News]) {
        let has_focus = self.window.has_focus();
        for notice in news.iter().filter_map(|news| notices::notice(news, self.wish, has_focus)) {
            self.notifier.send(notice);
        }
    }

    fn running_count(&self) -> usize {
        self.known.desk.as_ref().map_or(0, |desk| desk.counts.running)
    }

    fn has_tray(&self) -> bool {
        self.tray.is_shown.borrow().unwrap_or(false)
    }

    async fn copy_address(&mut self) {
        let Some(address) = self.known.desk.as_ref().map(|desk| desk.address.clone()) else { return };
        if let Err(words) = self.clipboard.copy(address).await {
            self.notifier.send(notices::failed(&text::no_clipboard(&words)));
        }
    }

    async fn remember(&mut self, remembered: Remembered) {
        self.remembered = remembered;
        on_disk(&self.notebook, move |notebook| notebook.write(remembered)).await;
    }
}

async fn on_disk<T: Send + Default + 'static>(
    notebook: &Notebook,
    work: impl FnOnce(&Notebook) -> T + Send + 'static,
) -> T {
    let notebook = notebook.clone();
    tokio::task::spawn_blocking(move || work(&notebook)).await.unwrap_or_default()
}

/// Waits until then; for ever when there is no such time.
async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
