//! The other end of the tray: a real `StatusNotifierWatcher`, which receives the app's icon, and a reader of its menu
//! over `com.canonical.dbusmenu`, as a panel has them.

#![allow(clippy::used_underscore_binding, reason = "the macro of the bus uses what we do not")]

use std::collections::HashMap;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use zbus::message::Type;
use zbus::zvariant::{OwnedValue, Structure, Value};
use zbus::{Connection, MatchRule, MessageStream, Proxy};

use crate::server::PATIENCE;
use crate::session::Session;

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const ITEM: &str = "org.kde.StatusNotifierItem";
const ITEM_PATH: &str = "/StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";

/// Width, height, and bytes in the order of the bus.
type Picture = (i32, i32, Vec<u8>);
/// An entry of a menu as the bus has it: id, properties, and entries of its own.
type Layout = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

/// A panel's tray in a session.
pub struct Tray {
    bus: Connection,
    items: watch::Receiver<Vec<String>>,
}

struct Watcher {
    items: watch::Sender<Vec<String>>,
}

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
#[allow(clippy::unused_self, reason = "the interface wants it so")]
impl Watcher {
    fn register_status_notifier_item(&self, service: String) {
        self.items.send_modify(|items| items.push(service));
    }

    fn register_status_notifier_host(&self, _service: String) {}

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        self.items.borrow().clone()
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    id: i32,
    /// Its words; empty for a line between others.
    pub label: String,
    /// Whether it can be clicked.
    pub enabled: bool,
    /// Whether it is ticked; none when it cannot be.
    pub ticked: Option<bool>,
    /// The entries of its own menu.
    pub entries: Vec<Entry>,
}

/// Everything that the tray shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// `Active` or `NeedsAttention`.
    pub status: String,
    /// The name, and a number while jobs run.
    pub title: String,
    /// What stands under the name when the pointer rests on the icon.
    pub tooltip: String,
    /// The bytes of the icon.
    pub picture: Vec<u8>,
    /// The menu.
    pub menu: Vec<Entry>,
}

impl Shown {
    /// The first line, which says how things are.
    pub fn status_line(&self) -> &str {
        self.menu.first().map_or("", |entry| &entry.label)
    }

    /// The entry at `path`, each step by the beginning of its label.
    pub fn entry(&self, path: &[&str]) -> Option<&Entry> {
        let (first, rest) = path.split_first()?;
        let top = self.menu.iter().find(|entry| entry.label.starts_with(first))?;
        rest.iter()
            .try_fold(top, |entry, step| entry.entries.iter().find(|entry| entry.label.starts_with(step)))
    }
}

impl Tray {
    /// Shows icons in `session` from now on.
    pub async fn open(session: &Session) -> Self {
        let (sender, items) = watch::channel(Vec::new());
        let builder = session.bus().serve_at("/StatusNotifierWatcher", Watcher { items: sender });
        let builder = builder.and_then(|builder| builder.name(WATCHER)).expect("a name");
        Self { bus: builder.build().await.expect("the bus answers"), items }
    }

    /// How many icons have come so far.
    pub fn count(&self) -> usize {
        self.items.borrow().len()
    }

    /// How many of them are there now.
    pub async fn icons(&self) -> usize {
        let came = self.items.borrow().clone();
        let mut there = 0;
        for service in came {
            there += usize::from(is_there(&self.bus, &service).await);
        }
        there
    }

    /// Waits for the icon of an app.
    pub async fn icon(&mut self) -> TrayIcon {
        let items = tokio::time::timeout(PATIENCE, self.items.wait_for(|items| !items.is_empty())).await;
        let service = items.expect("an icon comes").expect("the tray is open").last().cloned();
        let service = service.expect("there is one");
        let item = Proxy::new(&self.bus, service.clone(), ITEM_PATH, ITEM).await.expect("a proxy");
        let path: zbus::zvariant::OwnedObjectPath = item.get_property("Menu").await.expect("it has a menu");
        let menu = Proxy::new(&self.bus, service.clone(), path, MENU).await.expect("a proxy");
        TrayIcon { bus: self.bus.clone(), service, menu }
    }
}

/// The icon of an app.
pub struct TrayIcon {
    bus: Connection,
    service: String,
    menu: Proxy<'static>,
}

impl TrayIcon {
    /// What it shows now.
    pub async fn shown(&self) -> Shown {
        // It is asked for piece by piece and may change in between; then the pieces would not fit together.
        loop {
            let shown = self.pieces().await;
            if shown.menu == self.entries().await {
                return shown;
            }
        }
    }

    async fn pieces(&self) -> Shown {
        // Anew each time: a proxy remembers properties whose change these items tell in a way of their own.
        let builder: zbus::proxy::Builder<'_, Proxy<'_>> = zbus::proxy::Builder::new(&self.bus);
        let builder = builder.destination(self.service.clone()).expect("a name");
        let builder = builder.path(ITEM_PATH).expect("a path").interface(ITEM).expect("an interface");
        let item = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await.expect("a proxy");
        let menu = self.entries().await;
        let pictures: Vec<Picture> = item.get_property("IconPixmap").await.expect("pictures");
        let tooltip: (String, Vec<Picture>, String, String) =
            item.get_property("ToolTip").await.expect("a tooltip");
        Shown {
            status: item.get_property("Status").await.expect("a status"),
            title: item.get_property("Title").await.expect("a title"),
            tooltip: tooltip.3,
            picture: pictures.into_iter().flat_map(|(_, _, bytes)| bytes).collect(),
            menu,
        }
    }

    async fn entries(&self) -> Vec<Entry> {
        let nothing: &[&str] = &[];
        let answer: (u32, Layout) =
            self.menu.call("GetLayout", &(0i32, -1i32, nothing)).await.expect("a menu");
        answer.1.2.into_iter().map(entry).collect()
    }

    /// Clicks on the entry at `path`, once it is there and can be clicked.
    pub async fn click(&self, path: &[&str]) {
        let is_there = |shown: &Shown| shown.entry(path).is_some_and(|entry| entry.enabled);
        let shown = self.until(&format!("{path:?} can be clicked"), is_there).await;
        let id = shown.entry(path).expect("it was just there").id;
        let () = self
            .menu
            .call("Event", &(id, "clicked", Value::from(0i32), 0u32))
            .await
            .expect("it takes clicks");
    }

    /// Clicks on the icon itself.
    pub async fn activate(&self) {
        let item = Proxy::new(&self.bus, self.service.clone(), ITEM_PATH, ITEM).await.expect("a proxy");
        let () = item.call("Activate", &(0i32, 0i32)).await.expect("it takes clicks");
    }

    /// Waits until what it shows fits, and gives it.
    pub async fn until(&self, what: &str, fits: impl Fn(&Shown) -> bool) -> Shown {
        let rule =
            MatchRule::builder().msg_type(Type::Signal).sender(self.service.clone()).expect("a name").build();
        let mut changes = MessageStream::for_match_rule(rule, &self.bus, None).await.expect("a stream");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let shown = self.shown().await;
            if fits(&shown) {
                return shown;
            }
            let next = tokio::time::timeout_at(deadline, changes.next()).await;
            assert!(next.is_ok(), "this never came true: {what}; the tray shows {shown:#?}");
        }
    }

    /// Waits until the icon is gone.
    pub async fn gone(&self) {
        crate::eventually("the icon is gone", async || !is_there(&self.bus, &self.service).await).await;
    }
}

/// Whether somebody on the bus has this name.
async fn is_there(bus: &Connection, service: &str) -> bool {
    let dbus = zbus::fdo::DBusProxy::new(bus).await.expect("the bus answers");
    let name = zbus::names::BusName::try_from(service).expect("a name");
    dbus.name_has_owner(name).await.unwrap_or(true)
}

fn entry(value: OwnedValue) -> Entry {
    let structure = Structure::try_from(Value::from(value)).expect("a structure");
    let fields = structure.into_fields();
    let [id, properties, entries] = <[Value<'static>; 3]>::try_from(fields).expect("three fields");
    let properties: HashMap<String, OwnedValue> = properties.try_into().expect("properties");
    let entries: Vec<OwnedValue> = entries.try_into().expect("entries");
    let text = |name: &str| properties.get(name).and_then(|value| <&str>::try_from(value).ok());
    let number = |name: &str| properties.get(name).and_then(|value| i32::try_from(value).ok());
    Entry {
        id: id.try_into().expect("a number"),
        label: text("label").unwrap_or_default().replace("__", "_"),
        enabled: properties.get("enabled").and_then(|value| bool::try_from(value).ok()).unwrap_or(true),
        ticked: text("toggle-type")
            .filter(|kind| !kind.is_empty())
            .map(|_| number("toggle-state") == Some(1)),
        entries: entries.into_iter().map(entry).collect(),
    }
}
