//! The list of Linux desktops: files in the folder `autostart` of the person's configuration. (The crate for this
//! knows neither `XDG_CONFIG_HOME` nor blanks in the program's path.)

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{FLAG, LoginError, program};

const FILE: &str = "deskgrid.desktop";

/// Whether it starts at login; none when the system does not tell. Blocks on the disk.
pub(crate) fn is_on() -> Option<bool> {
    is_on_in(&folder().ok()?)
}

/// Makes it start at login, or not. Blocks on the disk.
///
/// # Errors
/// [`LoginError`] says what stands in the way.
pub(crate) fn set(on: bool) -> Result<(), LoginError> {
    let changed = if on { write(&folder()?, &program()?) } else { remove(&folder()?) };
    changed.map_err(|error| LoginError::List(error.to_string()))
}

fn folder() -> Result<PathBuf, LoginError> {
    let dirs = directories::BaseDirs::new().ok_or(LoginError::Unknown("your home folder"))?;
    Ok(dirs.config_dir().join("autostart"))
}

fn is_on_in(folder: &Path) -> Option<bool> {
    match fs::read_to_string(folder.join(FILE)) {
        Ok(entry) => Some(is_live(&entry)),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

/// Desktops switch an entry off by one of these lines, instead of deleting it.
fn is_live(entry: &str) -> bool {
    !entry.lines().map(|line| line.replace(' ', "")).any(|line| {
        line.eq_ignore_ascii_case("Hidden=true")
            || line.eq_ignore_ascii_case("X-GNOME-Autostart-enabled=false")
    })
}

fn write(folder: &Path, program: &str) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let entry = format!(
        // With TryExec the entry counts for nothing once the app is removed.
        "[Desktop Entry]\nType=Application\nName={}\nExec={} {FLAG}\nTryExec={}\nIcon=deskgrid-desktop\n\
         Terminal=false\nStartupNotify=false\nX-GNOME-Autostart-enabled=true\n",
        deskgrid_desktop::text::NAME,
        quoted(program),
        program.replace('\\', "\\\\"),
    );
    fs::write(folder.join(FILE), entry)
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A word as the specification of desktop entries quotes it: once for the command, once for the file.
fn quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for character in word.chars() {
        match character {
            '"' | '`' | '$' => quoted.extend(["\\\\", character.encode_utf8(&mut [0; 4])]),
            '\\' => quoted.push_str("\\\\\\\\"),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_until_chosen_and_off_again_after() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("autostart");
        assert_eq!(is_on_in(&folder), Some(false));
        write(&folder, "/opt/Desk grid/deskgrid-desktop").unwrap();
        assert_eq!(is_on_in(&folder), Some(true));
        let entry = fs::read_to_string(folder.join(FILE)).unwrap();
        assert!(entry.contains("\nExec=\"/opt/Desk grid/deskgrid-desktop\" --hidden\n"), "{entry}");
        remove(&folder).unwrap();
        remove(&folder).unwrap();
        assert_eq!(is_on_in(&folder), Some(false));
    }

    #[test]
    fn an_entry_that_the_desktop_switched_off_is_off() {
        assert!(is_live("[Desktop Entry]\nX-GNOME-Autostart-enabled=true\n"));
        assert!(!is_live("[Desktop Entry]\nX-GNOME-Autostart-enabled=false\n"));
        assert!(!is_live("[Desktop Entry]\nHidden = true\n"));
    }

    #[test]
    fn odd_letters_of_a_path_are_quoted() {
        assert_eq!(quoted(r"/a b/$c/%d\e"), r#""/a b/\\$c/%%d\\\\e""#);
    }
}
