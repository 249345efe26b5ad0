//! Which job a command is about: people may write only the first letters of its id.

use crate::client::Client;
use crate::error::CliError;
use crate::words;

/// A job of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobRef {
    pub(crate) queue: String,
    pub(crate) id: String,
}

/// A queue as commands take it.
#[derive(Debug, clap::Args)]
pub(crate) struct QueueArgs {
    /// Queue of the job
    #[arg(long, value_name = "QUEUE", default_value = "local")]
    pub(crate) queue: String,
}

/// A job as commands take it.
#[derive(Debug, clap::Args)]
pub(crate) struct JobArgs {
    /// Id of the job, or as many of its first letters as make it unique in the queue
    job: String,
    #[command(flatten)]
    queue: QueueArgs,
}

impl JobArgs {
    /// The job that is meant, which the server knows.
    pub(crate) async fn resolve(self, client: &Client) -> Result<JobRef, CliError> {
        let queue = self.queue.queue;
        let listed = client.jobs(&queue).await?;
        if let Some(id) = choose(&self.job, listed.iter().map(|(id, _)| id.as_str()))? {
            return Ok(JobRef { queue, id: id.to_owned() });
        }
        // Jobs leave the list a minute after they finished; their results stay.
        let job = JobRef { queue, id: self.job };
        if client.knows(&job).await? { Ok(job) } else { Err(unknown(&job)) }
    }
}

fn unknown(job: &JobRef) -> CliError {
    CliError::Usage(format!(
        "No job {} in the queue {}. `deskgrid status` lists the jobs; one that finished more than a minute ago \
         needs its whole id.",
        job.id, job.queue
    ))
}

/// The id among `ids` that is `given` or alone begins with it.
fn choose<'a>(given: &str, ids: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, CliError> {
    let matching: Vec<_> = ids.filter(|id| !given.is_empty() && id.starts_with(given)).collect();
    match matching.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => match several.iter().find(|id| **id == given) {
            Some(exact) => Ok(Some(exact)),
            None => Err(CliError::Usage(format!(
                "{given:?} begins the ids of {}: {}. Write more letters.",
                words::count(several.len(), "job"),
                several.iter().take(5).map(|id| words::short(id)).collect::<Vec<_>>().join(", ")
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(given: &str) -> Result<Option<&'static str>, String> {
        choose(given, ["abc1", "abc2", "xyz", "xyz7"].into_iter()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_beginning_names_a_job_when_it_is_the_only_one() {
        assert_eq!(chosen("abc2"), Ok(Some("abc2")));
        assert_eq!(chosen("xyz7"), Ok(Some("xyz7")));
        assert_eq!(chosen("q"), Ok(None));
        assert_eq!(chosen(""), Ok(None));
    }

    #[test]
    fn a_whole_id_wins_over_longer_ones() {
        assert_eq!(chosen("xyz"), Ok(Some("xyz")));
    }

    #[test]
    fn an_ambiguous_beginning_is_told_with_the_candidates() {
        assert_eq!(
            chosen("ab").unwrap_err(),
            "\"ab\" begins the ids of 2 jobs: abc1, abc2. Write more letters."
        );
    }
}
