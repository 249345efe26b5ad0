//! Changes the settings file in place: every comment, blank line and order stays as the person left it.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use deskgrid_job::SHIPPED_ORIGINS;
use deskgrid_sites::{Change, Date, Decision, Entry, Origin};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::SettingsError;
use super::file::{folder_of, line_of, parse};
use super::sites::{COMPATIBLE, DECISION, KEY, LAST_USED, NETWORK, ORIGIN, SINCE};

/// Carries out `change` in the file at `path`, which may be missing, and returns the sites that it has then.
pub(super) fn write(path: &Path, change: &Change) -> Result<Vec<Entry>, SettingsError> {
    let old = text_of(path)?;
    let new = changed(path, &old, change)?;
    // What cannot be read again must not get there.
    let sites = parse(path, &new)?.sites.unwrap_or_default();
    if new != old {
        replace(path, &new).map_err(|source| SettingsError::Unwritable { path: path.to_owned(), source })?;
    }
    Ok(sites)
}

/// The text of the file at `path`; that of a missing one is empty.
pub(super) fn text_of(path: &Path) -> Result<String, SettingsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(SettingsError::Unreadable { path: path.to_owned(), source }),
    }
}

/// The document in `text`, which stands in the file at `path`.
pub(super) fn document(path: &Path, text: &str) -> Result<DocumentMut, SettingsError> {
    // Ours gives the better errors, and whatever it takes the other parser takes too.
    parse(path, text)?;
    text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        SettingsError::Syntax { path: path.to_owned(), line, problem: error.message().to_owned() }
    })
}

/// The text of the file after `change`.
fn changed(path: &Path, text: &str, change: &Change) -> Result<String, SettingsError> {
    let mut document = document(path, text)?;
    let mut ending = document.trailing().as_str().unwrap_or_default().to_owned();
    let sites = sites_of(&mut document);
    let count = sites.len();
    match change {
        Change::Forget(origin) => remove(sites, origin, &mut ending),
        other => apply(sites, other)?,
    }
    if sites.len() > count {
        put_behind(sites, &mut ending, text);
    }
    if sites.is_empty() {
        document.remove(KEY);
    }
    document.set_trailing(ending);
    Ok(document.to_string())
}

/// Puts the last site behind everything that is in the file, comments at its end too: lines that a person only
/// commented out would otherwise come to belong to the site.
fn put_behind(sites: &mut ArrayOfTables, ending: &mut String, text: &str) {
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') || ending.is_empty() => "\n",
        _ => "\n\n",
    };
    if let Some(site) = sites.len().checked_sub(1).and_then(|last| sites.get_mut(last)) {
        site.decor_mut().set_prefix(format!("{}{gap}", std::mem::take(ending)));
    }
}

/// Takes a site out; the comments above it stay.
fn remove(sites: &mut ArrayOfTables, origin: &Origin, ending: &mut String) {
    let Some(place) = sites.iter().position(|table| is_of(table, origin)) else { return };
    let above = |table: &Table| {
        let prefix = table.decor().prefix().and_then(toml_edit::RawString::as_str);
        prefix.unwrap_or_default().to_owned()
    };
    let kept = sites.get(place).map(above).unwrap_or_default();
    sites.remove(place);
    match sites.get_mut(place) {
        Some(next) => {
            let both = kept + &above(next);
            next.decor_mut().set_prefix(both);
        }
        None => ending.insert_str(0, &kept),
    }
}

/// The list of sites in the document, as tables of their own.
fn sites_of(document: &mut DocumentMut) -> &mut ArrayOfTables {
    let item = document.entry(KEY).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if !item.is_array_of_tables() {
        // The reader took it, so it is a list of tables within one value, or an empty list.
        let inline = std::mem::take(item);
        *item = Item::ArrayOfTables(inline.into_array_of_tables().unwrap_or_default());
    }
    #[expect(clippy::expect_used, reason = "the item was made an array of tables just above")]
    item.as_array_of_tables_mut().expect("an array of tables")
}

fn apply(sites: &mut ArrayOfTables, change: &Change) -> Result<(), SettingsError> {
    let place = sites.iter().position(|table| is_of(table, change.origin()));
    match change {
        Change::Decide { origin, decision, on } => {
            let table = table_at(sites, place, origin);
            let is_news = table.get(DECISION).and_then(Item::as_str) != Some(decision.as_str());
            set(table, DECISION, decision.as_str());
            if is_news {
                set(table, SINCE, day(*on));
            }
        }
        Change::Forget(_) => {}
        Change::Used { on, .. } => {
            if let Some(table) = place.and_then(|place| sites.get_mut(place)) {
                set(table, LAST_USED, day(*on));
            }
        }
        Change::Configure { origin, network, compatible, on } => {
            if place.is_none() && !SHIPPED_ORIGINS.contains(&origin.as_str()) {
                return Err(SettingsError::Impossible(format!(
                    "Nobody decided about {origin} yet. Allow it first: deskgrid sites allow {origin}"
                )));
            }
            let table = table_at(sites, place, origin);
            if place.is_none() {
                set(table, DECISION, Decision::Allow.as_str());
                set(table, SINCE, day(*on));
            }
            if let Some(network) = network {
                set(table, NETWORK, network.as_str());
            }
            if let Some(compatible) = compatible {
                set(table, COMPATIBLE, *compatible);
            }
        }
    }
    Ok(())
}

fn is_of(table: &Table, origin: &Origin) -> bool {
    let written = table.get(ORIGIN).and_then(Item::as_str).unwrap_or_default();
    Origin::of_person(written).is_ok_and(|known| known == *origin)
}

/// The table at `place`, or a new one at the end.
fn table_at<'a>(sites: &'a mut ArrayOfTables, place: Option<usize>, origin: &Origin) -> &'a mut Table {
    let place = place.unwrap_or_else(|| {
        let mut table = Table::new();
        table[ORIGIN] = value(origin.as_str());
        sites.push(table);
        sites.len() - 1
    });
    #[expect(clippy::expect_used, reason = "the place was found or made just above")]
    sites.get_mut(place).expect("a table at this place")
}

/// Sets a value and keeps what stands around the old one: a comment at the end of its line.
pub(super) fn set(table: &mut Table, name: &str, new: impl Into<Value>) {
    let mut new = new.into();
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => table[name] = Item::Value(new),
    }
}

fn day(date: Date) -> toml_edit::Datetime {
    let date = toml_edit::Date { year: date.year, month: date.month, day: date.day };
    toml_edit::Datetime { date: Some(date), time: None, offset: None }
}

/// Puts `text` at the place of the file at once: whoever reads meanwhile sees the old file or the new one.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder_of(path))?;
    // A link that a person keeps elsewhere stays a link.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut draft = tempfile::Builder::new().prefix(".settings-").tempfile_in(folder_of(&path))?;
    draft.write_all(text.as_bytes())?;
    if let Ok(old) = std::fs::metadata(&path) {
        draft.as_file().set_permissions(old.permissions())?;
    }
    draft.as_file().sync_all()?;
    draft.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use deskgrid_sites::Network;

    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of_person(text).unwrap()
    }

    fn day_of(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    fn decide(text: &str, decision: Decision) -> Change {
        Change::Decide { origin: origin(text), decision, on: day_of("2026-11-22") }
    }

    fn after(text: &str, change: &Change) -> String {
        changed(Path::new("settings.toml"), text, change).unwrap()
    }

    const KEPT: &str = "# My settings\nport   = 8123 # not 8000\n\n# the lab\n[[sites]]\n\
                        origin = \"https://lab.example\"   # ours\ndecision = 'allow' # asked Ada\n\n\
                        # the end\n";

    #[test]
    fn comments_and_layout_survive_every_change() {
        let text = after(KEPT, &decide("https://new.example", Decision::Block));
        let added =
            "\n[[sites]]\norigin = \"https://new.example\"\ndecision = \"block\"\nsince = 2026-11-22\n";
        assert_eq!(text, format!("{KEPT}{added}"));
        assert_eq!(after(&text, &Change::Forget(origin("https://new.example"))), format!("{KEPT}\n"));
        let text = after(KEPT, &decide("https://lab.example", Decision::Block));
        assert!(text.contains("decision = \"block\" # asked Ada\nsince = 2026-11-22\n"), "{text}");
        let used = Change::Used { origin: origin("https://lab.example"), on: day_of("2026-12-01") };
        let text = after(KEPT, &used);
        assert!(text.contains("decision = 'allow' # asked Ada\nlast_used = 2026-12-01\n"), "{text}");
        let text = after(KEPT, &Change::Forget(origin("https://lab.example")));
        assert!(text.starts_with("# My settings\nport   = 8123 # not 8000\n"), "{text}");
        assert!(!text.contains("lab.example") && text.ends_with("# the lab\n\n# the end\n"), "{text}");
    }

    #[test]
    fn a_line_that_is_only_commented_out_does_not_come_to_belong_to_a_site() {
        for text in ["# port = 1\n", "memory = '1g'\n# port = 1\n", "memory = '1g'\n\n# port = 1"] {
            let text = after(text, &decide("https://a.example", Decision::Allow)).replace("# port", "port");
            let parsed = parse(Path::new("x"), &text).unwrap();
            assert_eq!((parsed.port, parsed.sites.unwrap().len()), (Some(1), 1), "{text}");
        }
    }

    #[test]
    fn the_same_decision_again_keeps_its_day_and_changes_nothing() {
        let once = after("", &decide("https://a.example", Decision::Allow));
        let later = Change::Decide {
            origin: origin("https://a.example"),
            decision: Decision::Allow,
            on: day_of("2027-01-01"),
        };
        assert_eq!(after(&once, &later), once);
    }

    #[test]
    fn a_list_within_one_value_is_understood_too() {
        let text = "sites = [{ origin = 'https://a.example', decision = 'allow' }]\nport = 1\n";
        let text = after(text, &decide("https://b.example", Decision::Block));
        let parsed = parse(Path::new("x"), &text).unwrap();
        assert_eq!((parsed.sites.unwrap().len(), parsed.port), (2, Some(1)));
    }

    #[test]
    fn a_shipped_site_can_be_configured_and_an_unknown_one_cannot() {
        let configure = |text| Change::Configure {
            origin: origin(text),
            network: Some(Network::None),
            compatible: Some(true),
            on: day_of("2026-11-22"),
        };
        let text = after("", &configure(SHIPPED_ORIGINS[0]));
        let site = &parse(Path::new("x"), &text).unwrap().sites.unwrap()[0];
        assert_eq!((site.decision, site.terms.network), (Decision::Allow, Network::None));
        let error = changed(Path::new("x"), "", &configure("https://a.example")).unwrap_err();
        assert!(error.to_string().contains("deskgrid sites allow https://a.example"), "{error}");
    }

    #[test]
    fn a_missing_file_and_its_folder_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/settings.toml");
        let sites = write(&path, &decide("https://a.example", Decision::Allow)).unwrap();
        assert_eq!(sites.len(), 1);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("[[sites]]\norigin"));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, "port = = 1").unwrap();
        assert!(write(&path, &decide("https://a.example", Decision::Allow)).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "port = = 1");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_keeps_its_mode_and_a_link_stays_a_link() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("settings.toml"));
        std::fs::write(&real, "port = 1\n").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link, &decide("https://a.example", Decision::Allow)).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(std::fs::read_to_string(&real).unwrap().contains("a.example"));
    }
}
