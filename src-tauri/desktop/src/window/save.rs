//! Saves what the page shows to where the person wants it. Names come from jobs, so that none may lead out of the
//! chosen folder; a file appears under its name when it is whole.

use std::path::{Component, Path, PathBuf};

use deskgrid_desktop::door::Door;
use deskgrid_desktop::text;
use serde::Deserialize;
use tauri::{AppHandle, Manager, State, WebviewWindow};
use tokio::fs;
use tokio::io::AsyncWriteExt;

use crate::choose;
use crate::commands::Page;

/// Where "save all" puts a folder for each job, below the downloads.
const FOLDER: &str = "Deskgrid";

/// A file of a job.
#[derive(Debug, Deserialize)]
pub(crate) struct Saving {
    /// Its place in the job's outputs.
    path: String,
    /// Where its bytes are, at the local door.
    url: String,
}

#[tauri::command]
pub(crate) async fn save(
    window: WebviewWindow,
    page: State<'_, Page>,
    path: String,
    name: String,
) -> Result<Option<String>, String> {
    let Some(place) = chosen(&window, &name).await? else { return Ok(None) };
    download(&page.door, &path, &place).await?;
    Ok(Some(place.display().to_string()))
}

#[tauri::command]
pub(crate) async fn save_text(
    window: WebviewWindow,
    text: String,
    name: String,
) -> Result<Option<String>, String> {
    let Some(place) = chosen(&window, &name).await? else { return Ok(None) };
    fs::write(&place, text).await.map_err(|error| not_written(&place, &error))?;
    Ok(Some(place.display().to_string()))
}

#[tauri::command]
pub(crate) async fn save_all(
    app: AppHandle,
    page: State<'_, Page>,
    job_id: String,
    files: Vec<Saving>,
    open: bool,
) -> Result<String, String> {
    let folder = downloads(&app)?.join(FOLDER).join(inside(&job_id)?);
    for file in &files {
        download(&page.door, &file.url, &folder.join(inside(&file.path)?)).await?;
    }
    if open {
        // The files are there either way, and the page says where.
        let _ = open::that_detached(&folder);
    }
    Ok(folder.display().to_string())
}

/// Systems that name no such folder have their people use this one.
fn downloads(app: &AppHandle) -> Result<PathBuf, String> {
    let usual = || app.path().home_dir().map(|home| home.join("Downloads"));
    app.path().download_dir().or_else(|_| usual()).map_err(|error| text::no_downloads(&error.to_string()))
}

async fn chosen(window: &WebviewWindow, name: &str) -> Result<Option<PathBuf>, String> {
    let name = inside(name)?.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    choose::file(window, &name).await
}

/// A path below some folder, checked to stay there on every system.
fn inside(path: &str) -> Result<&Path, String> {
    let is_plain = !path.is_empty() && !path.contains(['\\', ':', '\0']);
    let stays = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && stays {
        return Ok(Path::new(path));
    }
    Err(text::leads_out(&path.chars().take(200).collect::<String>()))
}

async fn download(door: &Door, url: &str, place: &Path) -> Result<(), String> {
    let folder = place.parent().unwrap_or(place);
    fs::create_dir_all(folder).await.map_err(|error| not_written(folder, &error))?;
    let part = tempfile::NamedTempFile::new_in(folder).map_err(|error| not_written(folder, &error))?;
    let (file, part) = part.into_parts();
    let mut file = fs::File::from_std(file);
    let mut body = door.file(url).await.map_err(|error| error.to_string())?;
    while let Some(piece) = body.chunk().await.map_err(|error| error.to_string())? {
        file.write_all(&piece).await.map_err(|error| not_written(place, &error))?;
    }
    file.flush().await.map_err(|error| not_written(place, &error))?;
    drop(file);
    part.persist(place).map_err(|error| not_written(place, &error.error))
}

fn not_written(place: &Path, error: &std::io::Error) -> String {
    text::not_written(place, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_their_folder() {
        for good in ["plot.svg", "a/b c/ü.csv", "..data/x"] {
            assert!(inside(good).is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "C:\\x", "a\\..\\x", "c:x", "a\0b", "./x"] {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }
}
