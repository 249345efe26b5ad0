//! A run's stages and trace as the JSON of one row. This form is ours alone.

use deskgrid_job::{Course, Stage, StageName, Time, Trace};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

#[derive(Serialize, Deserialize)]
struct Row {
    /// Name, start, end and note.
    stages: Vec<(String, u64, Option<u64>, Option<String>)>,
    trace: Option<TraceRow>,
    /// Rows of before this was noted have none.
    #[serde(default)]
    emulated: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct TraceRow {
    start: u64,
    every: u64,
    cpu: Vec<f32>,
    memory: Vec<u64>,
}

pub(super) fn encode(course: &Course) -> Result<String, StoreError> {
    let stage = |stage: &Stage| {
        (stage.name.as_str().to_owned(), stage.start.0, stage.end.map(|end| end.0), stage.note.clone())
    };
    let trace = |trace: &Trace| TraceRow {
        start: trace.start.0,
        every: trace.every,
        // Thousandths are more than any plot shows.
        cpu: trace.cpu.iter().map(|cpu| (cpu * 1000.0).round() / 1000.0).collect(),
        memory: trace.memory.clone(),
    };
    let row = Row {
        stages: course.stages.iter().map(stage).collect(),
        trace: course.trace.as_ref().map(trace),
        emulated: course.emulated.clone(),
    };
    serde_json::to_string(&row)
        .map_err(|error| StoreError::damaged(format!("the course of a run to be stored ({error})")))
}

/// None when the text is none of ours: a picture of a run is no reason to hide the rest of it.
pub(super) fn decode(json: &str) -> Option<Course> {
    let row: Row = serde_json::from_str(json).ok()?;
    let stages = row.stages.into_iter().filter_map(|(name, start, end, note)| {
        Some(Stage { name: StageName::parse(&name)?, start: Time(start), end: end.map(Time), note })
    });
    let trace = row.trace.filter(|trace| trace.cpu.len() == trace.memory.len());
    let trace = trace.map(|row| Trace::of(Time(row.start), row.every, row.cpu, row.memory));
    Some(Course { stages: stages.collect(), trace, emulated: row.emulated })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_reads_back_as_it_was_written() {
        let mut course = Course::default();
        course.enter(StageName::Image, Time(5));
        course.leave(StageName::Image, Time(9));
        course.enter(StageName::Run, Time(9));
        let mut trace = Trace::new(Time(9));
        trace.add(Time(10), 1.5, 42);
        course.trace = Some(trace);
        course.emulated = Some("linux/arm64".to_owned());
        assert_eq!(decode(&encode(&course).unwrap()), Some(course));
    }

    #[test]
    fn what_is_none_of_ours_is_no_course() {
        assert_eq!(decode("{\"stages\":[],\"trace\":null}"), Some(Course::default()));
        assert_eq!(decode("{}"), None);
        assert_eq!(decode("no json"), None);
    }
}
