//! The files of a definition as one set: `inputs` and `configFiles` share the container's folders, so that they are
//! checked against each other here, before anything is written.

use std::collections::BTreeMap;

use deskgrid_job::{ConfigPath, DataRef, FilePath};

use super::data_ref;
use super::field::{DefinitionError, Field};

/// What the engine and we put into each container before any file is placed. No file may take the place of one of
/// these, or of a folder above one.
const TAKEN: [&str; 7] =
    ["inputs", "outputs", "job-cache", "etc/hosts", "etc/hostname", "etc/resolv.conf", "sbin/docker-init"];
/// The kernel's own folders, in which files cannot be placed either.
const KERNEL: [&str; 3] = ["proc", "sys", "dev"];
const RENAME: &str = "choose another file name";

/// `inputs` and `configFiles`, without the inputs that a config file takes the place of.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) inputs: BTreeMap<FilePath, DataRef>,
    pub(super) config_files: BTreeMap<ConfigPath, DataRef>,
}

/// A file's path in the container and its name in the definition.
type Place = (String, String);

/// Reads and checks both sets.
pub(super) fn parse(inputs: &Field, config_files: &Field) -> Result<Files, DefinitionError> {
    let mut places = Vec::new();
    let input = |text: &str| FilePath::new(text).map(ConfigPath::Input);
    let mut inputs = entries(inputs, input, &mut places)?;
    let config_files = entries(config_files, config_path, &mut places)?;
    refuse_files_above_files(places)?;
    inputs.retain(|path, _| !config_files.contains_key(path));
    let inputs = inputs.into_iter().filter_map(|(path, data)| match path {
        ConfigPath::Input(path) => Some((path, data)),
        ConfigPath::Absolute(_) => None,
    });
    Ok(Files { inputs: inputs.collect(), config_files })
}

/// A config file's path, where `/inputs/x` is the same place as `x`.
fn config_path(text: &str) -> Result<ConfigPath, deskgrid_job::PathError> {
    match text.strip_prefix("/inputs/") {
        Some(rest) => FilePath::new(rest).map(ConfigPath::Input),
        None => ConfigPath::new(text),
    }
}

fn entries(
    field: &Field,
    path_of: fn(&str) -> Result<ConfigPath, deskgrid_job::PathError>,
    places: &mut Vec<Place>,
) -> Result<BTreeMap<ConfigPath, DataRef>, DefinitionError> {
    let mut files = BTreeMap::new();
    for (name, value) in field.object()?.into_iter().flatten() {
        let entry = field.entry(name, value);
        let Some(data) = data_ref::parse(&entry)? else { continue };
        let path = path_of(name).map_err(|error| entry.error(format_args!("cannot be: {error}"), RENAME))?;
        let place = place(&path);
        if let Some(taken) = shadowed(&place) {
            return Err(entry.error(format_args!("would hide /{taken}, which each container needs"), RENAME));
        }
        places.push((place, entry.name().to_owned()));
        if files.insert(path, data).is_some() {
            return Err(entry.error("names the same file as another entry", "keep one of the two"));
        }
    }
    Ok(files)
}

/// The path from the container's root, without the slash in front.
fn place(path: &ConfigPath) -> String {
    match path {
        ConfigPath::Input(path) => format!("inputs/{path}"),
        ConfigPath::Absolute(path) => path.to_string(),
    }
}

/// What a file at `place` would hide or lie in, of the things that no file may.
fn shadowed(place: &str) -> Option<&'static str> {
    let is_above = |above: &str, below: &str| {
        below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let kernel = KERNEL.into_iter().find(|folder| is_above(folder, place));
    kernel.or_else(|| TAKEN.into_iter().find(|taken| is_above(place, taken)))
}

fn refuse_files_above_files(mut places: Vec<Place>) -> Result<(), DefinitionError> {
    // In the order of their segments a file stands right before the first file below it.
    places.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    for pair in places.windows(2) {
        let [(above, above_name), (below, below_name)] = pair else { continue };
        if below.strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with('/')) {
            return Err(DefinitionError {
                field: above_name.clone(),
                problem: format!("is a file, but {below_name} needs a folder of that name"),
                advice: "rename one of the two",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn read(definition: &Value) -> Result<Files, DefinitionError> {
        let none = Map::new();
        let members = definition.as_object().unwrap_or(&none);
        parse(&Field::of(members, "inputs"), &Field::of(members, "configFiles"))
    }

    fn refused(definition: &Value) -> String {
        read(definition).unwrap_err().to_string()
    }

    #[test]
    fn a_config_file_takes_the_place_of_an_input() {
        let files = read(&json!({
            "inputs": {"a": {"value": "old"}, "b/c": {"value": "kept"}, "gone": null},
            "configFiles": {"/inputs/a": {"value": "new"}, "/etc/x": {"value": "y"}, "./d": {"value": "z"}}
        }))
        .unwrap();
        assert_eq!(files.inputs.keys().map(FilePath::as_str).collect::<Vec<_>>(), ["b/c"]);
        let config: Vec<_> = files.config_files.keys().map(ToString::to_string).collect();
        assert_eq!(config, ["a", "d", "/etc/x"]);
    }

    #[test]
    fn a_path_out_of_its_folder_is_refused_by_name() {
        let long = "x".repeat(300);
        for name in ["../x", "/etc/passwd", "", "a\0b", "a//b", long.as_str()] {
            let error = refused(&json!({"inputs": {name: {"value": "x"}}}));
            assert!(error.starts_with("inputs[\""), "{error}");
            assert!(error.len() < 400, "{error}");
        }
        assert!(
            refused(&json!({"configFiles": {"/a/../b": {"value": "x"}}})).starts_with("configFiles[\"/a")
        );
    }

    #[test]
    fn a_file_above_another_is_refused_with_both_names() {
        let error = refused(&json!({
            "inputs": {"a": {"value": "x"}, "a.b": {"value": "x"}},
            "configFiles": {"a/b/c": {"value": "x"}}
        }));
        assert!(error.contains("inputs[\"a\"] is a file, but configFiles[\"a/b/c\"]"), "{error}");
        refused(&json!({"configFiles": {"/etc/a": {"value": "x"}, "/etc": {"value": "x"}}}));
    }

    #[test]
    fn a_file_cannot_hide_what_each_container_needs() {
        for (name, hidden) in [
            ("/inputs", "/inputs"),
            ("/outputs", "/outputs"),
            ("/job-cache", "/job-cache"),
            ("/proc", "/proc"),
            ("/proc/sys/kernel/core_pattern", "/proc"),
            ("/sys/fs/cgroup/x", "/sys"),
            ("/dev/mem", "/dev"),
            ("/dev/shm/x", "/dev"),
            ("/etc", "/etc/hosts"),
            ("/etc/hosts", "/etc/hosts"),
            ("/etc/hostname", "/etc/hostname"),
            ("/etc/resolv.conf", "/etc/resolv.conf"),
            ("/sbin", "/sbin/docker-init"),
            ("/sbin/docker-init", "/sbin/docker-init"),
        ] {
            let error = refused(&json!({"configFiles": {name: {"value": "x"}}}));
            assert!(error.contains(&format!("configFiles[{name:?}] would hide {hidden},")), "{error}");
        }
    }

    #[test]
    fn a_file_may_lie_beside_what_each_container_needs() {
        for name in ["/etc/hosts.d", "/etc/app.conf", "/process", "/devices/x", "/sbin/tool", "proc", "dev/x"]
        {
            assert!(read(&json!({"configFiles": {name: {"value": "x"}}})).is_ok(), "{name}");
        }
    }

    #[test]
    fn two_spellings_of_one_path_are_refused() {
        let error = refused(&json!({"inputs": {"a": {"value": "1"}, "./a": {"value": "2"}}}));
        assert!(error.contains("inputs[\"./a\"] names the same file"), "{error}");
    }
}
