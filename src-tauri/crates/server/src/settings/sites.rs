//! Reads what the settings file says about sites: tables under `[[sites]]`, one for each origin.

use std::path::Path;

use deskgrid_sites::{Date, Decision, Entry, Network, Origin, Terms};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SettingsError;
use super::file::line_of;

/// The name of the list in the file.
pub(super) const KEY: &str = "sites";
/// The names of the lines of a site.
pub(super) const ORIGIN: &str = "origin";
pub(super) const DECISION: &str = "decision";
pub(super) const SINCE: &str = "since";
pub(super) const LAST_USED: &str = "last_used";
pub(super) const NETWORK: &str = "network";
pub(super) const COMPATIBLE: &str = "compatible";

/// The sites in `value`, which stands in the `text` of the file at `path`.
pub(super) fn read(
    path: &Path,
    text: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<Entry>, SettingsError> {
    let refuse = |place: usize, problem: String| SettingsError::BadSite {
        path: path.to_owned(),
        line: line_of(text, place),
        problem,
    };
    let DeValue::Array(items) = value.get_ref() else {
        return Err(refuse(value.span().start, "stands outside of the list".into()));
    };
    let mut entries: Vec<Entry> = Vec::new();
    for item in items {
        let start = item.span().start;
        let DeValue::Table(table) = item.get_ref() else {
            return Err(refuse(start, "has no lines of its own".into()));
        };
        let entry = entry(table, start).map_err(|(place, problem)| refuse(place, problem))?;
        if entries.iter().any(|known| known.origin == entry.origin) {
            return Err(refuse(start, format!("is there twice, {}", entry.origin)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// One site, or where and why not.
fn entry(table: &DeTable<'_>, start: usize) -> Result<Entry, (usize, String)> {
    let mut origin = None;
    let mut decision = None;
    let (mut since, mut last_used, mut terms) = (None, None, Terms::default());
    for (name, value) in table {
        let place = value.span().start;
        let bad = |problem: &str| (place, format!("has the {} {problem}", name.get_ref()));
        let word = value.get_ref().as_str().unwrap_or_default();
        match name.get_ref().as_ref() {
            ORIGIN => {
                origin = Some(Origin::of_person(word).map_err(|e| bad(&format!("{word:?}, which {e}")))?);
            }
            DECISION => {
                decision = Some(
                    Decision::parse(word).ok_or_else(|| bad("that is neither \"allow\" nor \"block\""))?,
                );
            }
            SINCE => since = Some(date(value.get_ref()).ok_or_else(|| bad("that is no day as 2026-11-22"))?),
            LAST_USED => {
                last_used = Some(date(value.get_ref()).ok_or_else(|| bad("that is no day as 2026-11-22"))?);
            }
            NETWORK => {
                terms.network =
                    Network::parse(word).ok_or_else(|| bad("that is neither \"internet\" nor \"none\""))?;
            }
            COMPATIBLE => {
                terms.compatible =
                    value.get_ref().as_bool().ok_or_else(|| bad("that is neither true nor false"))?;
            }
            other => {
                return Err((name.span().start, format!("has the line {other:?}, which is none of a site")));
            }
        }
    }
    let origin = origin.ok_or((start, "has no origin".to_owned()))?;
    let decision = decision.ok_or((start, format!("has no decision, {origin}")))?;
    Ok(Entry { origin, decision, since, last_used, terms })
}

/// A day may stand with or without quotes.
fn date(value: &DeValue<'_>) -> Option<Date> {
    match value {
        DeValue::String(text) => Date::parse(text),
        DeValue::Datetime(time) => time.date.and_then(|date| Date::new(date.year, date.month, date.day)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;

    fn sites(text: &str) -> Result<Vec<Entry>, String> {
        let parsed = parse(Path::new("/etc/settings.toml"), text).map_err(|error| error.to_string())?;
        Ok(parsed.sites.unwrap_or_default())
    }

    #[test]
    fn a_site_has_an_origin_a_decision_and_what_else_was_said() {
        let text = "[[sites]]\norigin = 'https://A.example/'\ndecision = 'allow'\nsince = 2026-11-22\n\
                    last_used = '2026-11-23'\nnetwork = 'none'\ncompatible = true\n\
                    [[sites]]\norigin = 'https://b.example'\ndecision = 'block'\n";
        let sites = sites(text).unwrap();
        let first = &sites[0];
        assert_eq!((first.origin.as_str(), first.decision), ("https://a.example", Decision::Allow));
        assert_eq!((first.since, first.last_used), (Date::parse("2026-11-22"), Date::parse("2026-11-23")));
        assert_eq!(first.terms, Terms { network: Network::None, compatible: true });
        assert_eq!((sites[1].decision, sites[1].terms), (Decision::Block, Terms::default()));
    }

    #[test]
    fn what_is_wrong_with_a_site_is_told_with_its_line() {
        let site = |lines: &str| sites(&format!("# mine\n[[sites]]\n{lines}")).unwrap_err();
        let error = site("origin = 'example.org'\ndecision = 'allow'");
        assert!(error.contains("line 3") && error.contains("has no scheme"), "{error}");
        let error = site("origin = 'https://a.example'\ndecision = 'maybe'");
        assert!(error.contains("line 4") && error.contains("neither \"allow\" nor \"block\""), "{error}");
        for (lines, words) in [
            ("decision = 'allow'", "has no origin"),
            ("origin = 'https://a.example'", "has no decision"),
            ("origin = 'https://a.example'\ncolour = 1", "\"colour\""),
            ("origin = 'https://a.example'\nsince = 'today'", "no day"),
            ("origin = 'https://a.example'\ncompatible = 'yes'", "neither true nor false"),
            ("origin = 'https://a.example'\nnetwork = 'lan'", "neither \"internet\" nor \"none\""),
        ] {
            assert!(site(lines).contains(words), "{lines}: {}", site(lines));
        }
        let twice = "origin = 'https://a.example'\ndecision = 'allow'\n";
        assert!(site(&format!("{twice}[[sites]]\n{twice}")).contains("twice"));
        assert!(sites("sites = 1").unwrap_err().contains("list"));
    }
}
