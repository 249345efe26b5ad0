//! Links into the app: `deskgrid://job/<id>` from outside, and the places of the user interface that they stand for.
//! It opens nothing.

/// A link that the app cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a link that Deskgrid can open. A link to a job looks like deskgrid://job/ with the job's id \
     behind it."
)]
pub struct BadLink(String);

/// The screens that a link may lead to.
const SCREENS: [&str; 5] = ["queue", "cache", "sites", "settings", "start"];
/// Longer ids than this are no ids.
const MOST_ID: usize = 128;

/// The place in the user interface, such as `#/job/0f3a`, for a link from outside or for such a place.
///
/// # Errors
/// [`BadLink`] for anything else: a link comes from whoever wrote the page it was on.
pub fn place(link: &str) -> Result<String, BadLink> {
    let bad = || BadLink(link.chars().take(200).collect());
    let path = link.strip_prefix("deskgrid://").or_else(|| link.strip_prefix("#/")).ok_or_else(bad)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if SCREENS.contains(&path) {
        return Ok(format!("#/{path}"));
    }
    let id = path.strip_prefix("job/").filter(|id| is_id(id)).ok_or_else(bad)?;
    Ok(format!("#/job/{id}"))
}

/// As Deskgrid itself takes ids: nothing in them has a meaning in a path.
fn is_id(id: &str) -> bool {
    (1..=MOST_ID).contains(&id.len())
        && !id.starts_with('.')
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_job_leads_to_its_screen() {
        for link in ["deskgrid://job/0f3a", "deskgrid://job/0f3a/", "#/job/0f3a"] {
            assert_eq!(place(link).as_deref(), Ok("#/job/0f3a"), "{link}");
        }
        assert_eq!(place("#/job/my-job_1.json").as_deref(), Ok("#/job/my-job_1.json"));
        assert_eq!(place("deskgrid://settings").as_deref(), Ok("#/settings"));
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        let bad = [
            "https://example.org",
            "deskgrid://job/",
            "deskgrid://job/../x",
            "deskgrid://job/..",
            "deskgrid://job/.hidden",
            "deskgrid://job/a%2e",
            "#/job/a b",
        ];
        for link in bad {
            assert!(place(link).unwrap_err().to_string().contains("deskgrid://job/"), "{link}");
        }
    }
}
