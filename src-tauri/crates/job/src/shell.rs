//! A definition as words that a person can read, and paste into a shell. Nothing here runs anything.

use std::fmt::Write as _;

use crate::{Command, ConfigPath, Definition};

/// `words` as one text that a shell splits into the same words.
pub fn join(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Single quotes keep everything but themselves; a single quote stands between two quoted parts, escaped.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What a job runs, as one line; none for the image's own command.
pub fn command_line(definition: &Definition) -> Option<String> {
    let parts = [definition.entrypoint.as_ref(), definition.command.as_ref()];
    let parts: Vec<_> = parts.into_iter().flatten().map(text).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn text(command: &Command) -> String {
    match command {
        Command::Words(words) => join(words),
        Command::Shell(text) => text.clone(),
    }
}

/// A line that runs the same container outside of Deskgrid, with its files in the folders `inputs` and `outputs`.
///
/// Where the job gives shell text and leaves the entry point to the image, it is taken to have none, as most do.
pub fn docker_run(definition: &Definition) -> String {
    let mut line = String::from("docker run --rm");
    for (name, value) in &definition.env {
        option(&mut line, "-e", &format!("{name}={value}"));
    }
    if let Some(workdir) = &definition.workdir {
        option(&mut line, "-w", workdir);
    }
    if let Some(bytes) = definition.shm_size {
        option(&mut line, "--shm-size", &bytes.to_string());
    }
    limits(&mut line, definition);
    folders(&mut line, definition);
    let entrypoint = definition.entrypoint.as_ref().map(words).unwrap_or_default();
    if let Some(program) = entrypoint.first() {
        option(&mut line, "--entrypoint", program);
    }
    let image = definition.image.image();
    let arguments = entrypoint.into_iter().skip(1).chain(arguments(definition));
    for word in std::iter::once(image.to_owned()).chain(arguments) {
        line.push(' ');
        line.push_str(&quoted(&word));
    }
    line
}

fn option(line: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = write!(line, " {name} {}", quoted(value));
}

fn limits(line: &mut String, definition: &Definition) {
    let needs = definition.needs;
    option(line, "--cpus", &(f64::from(needs.cpu_millis) / 1000.0).to_string());
    if needs.memory > 0 {
        option(line, "--memory", &needs.memory.to_string());
    }
    if needs.gpus > 0 {
        option(line, "--gpus", &needs.gpus.to_string());
    }
}

/// The folders stay in double quotes, so that the shell puts in where it is.
fn folders(line: &mut String, definition: &Definition) {
    line.push_str(r#" -v "$PWD/inputs:/inputs" -v "$PWD/outputs:/outputs""#);
    for path in definition.config_files.keys() {
        if let ConfigPath::Absolute(path) = path {
            let _ = write!(line, r#" -v "$PWD"/{}"#, quoted(&format!("config/{path}:/{path}")));
        }
    }
}

fn words(command: &Command) -> Vec<String> {
    match command {
        Command::Words(words) => words.clone(),
        Command::Shell(text) => vec![text.clone()],
    }
}

fn arguments(definition: &Definition) -> Vec<String> {
    match &definition.command {
        Some(Command::Shell(text)) if definition.entrypoint.is_none() => {
            vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()]
        }
        Some(command) => words(command),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataRef, ImageSource, Needs};

    fn definition(command: Option<Command>) -> Definition {
        Definition {
            image: ImageSource::Reference("python:3.12".to_owned()),
            command,
            entrypoint: None,
            env: [].into(),
            workdir: None,
            shm_size: None,
            inputs: [].into(),
            config_files: [].into(),
            max_duration: None,
            needs: Needs::default(),
        }
    }

    fn list(words: &[&str]) -> Command {
        Command::Words(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn plain_words_stay_readable_and_others_are_quoted() {
        let command = list(&["python3", "/inputs/run.py", "--x=1", "it's", "", "$HOME"]);
        let line = command_line(&definition(Some(command)));
        assert_eq!(line.as_deref(), Some(r"python3 /inputs/run.py --x=1 'it'\''s' '' '$HOME'"));
    }

    #[test]
    fn the_images_own_command_is_none() {
        assert_eq!(command_line(&definition(None)), None);
    }

    #[test]
    fn shell_text_stays_as_it_is_and_an_entry_point_comes_first() {
        let shell = Command::Shell("echo a | wc -c".to_owned());
        assert_eq!(command_line(&definition(Some(shell.clone()))).as_deref(), Some("echo a | wc -c"));
        let both = Definition { entrypoint: Some(list(&["bash", "-c"])), ..definition(Some(shell)) };
        assert_eq!(command_line(&both).as_deref(), Some("bash -c echo a | wc -c"));
    }

    #[test]
    fn docker_run_says_all_that_makes_the_container() {
        let mut all = definition(Some(list(&["run.py", "a b"])));
        all.entrypoint = Some(list(&["python3", "-u"]));
        all.env = [("MODE".to_owned(), "it's $5".to_owned())].into();
        all.workdir = Some("/inputs".to_owned());
        all.shm_size = Some(1024);
        all.needs = Needs { cpu_millis: 1500, memory: 2048, gpus: 1 };
        all.config_files =
            [(ConfigPath::new("/etc/my app.conf").unwrap(), DataRef::Inline(Vec::new()))].into();
        let expected = concat!(
            r"docker run --rm -e 'MODE=it'\''s $5' -w /inputs --shm-size 1024 --cpus 1.5 --memory 2048 --gpus 1",
            r#" -v "$PWD/inputs:/inputs" -v "$PWD/outputs:/outputs""#,
            r#" -v "$PWD"/'config/etc/my app.conf:/etc/my app.conf'"#,
            " --entrypoint python3 python:3.12 -u run.py 'a b'"
        );
        assert_eq!(docker_run(&all), expected);
    }

    #[test]
    fn docker_run_gives_shell_text_to_a_shell() {
        let line = docker_run(&definition(Some(Command::Shell("echo $X > out".to_owned()))));
        assert!(line.ends_with(" python:3.12 /bin/sh -c 'echo $X > out'"), "{line}");
    }
}
