//! Carries what the wire has read of a submission over to the worker.

use deskgrid_job::{Carried, Hold, Outlook};
use deskgrid_wire as wire;
use deskgrid_wire::{CallbackEvent, SubmissionError, webhook};
use deskgrid_worker as worker;
use deskgrid_worker::Call;

use crate::error::HttpError;

impl From<SubmissionError> for HttpError {
    fn from(error: SubmissionError) -> Self {
        Self::bad(error.code(), error.to_string())
    }
}

/// The submission as the worker takes it, in `queue`.
pub(crate) fn to_worker(submission: wire::Submission, outlook: Outlook) -> worker::Submission {
    let call = |event: CallbackEvent| {
        let asked = submission.callbacks.iter().find(|callback| callback.event == event)?;
        let body = webhook::body(&submission.id, &outlook.queue, &submission.namespace, &asked.payload);
        Some(Call { url: asked.url.clone(), body })
    };
    let (on_queued, on_finished) = (call(CallbackEvent::Queued), call(CallbackEvent::Finished));
    worker::Submission {
        id: submission.id,
        hold: Hold { queue: outlook.queue, namespace: submission.namespace, caller: outlook.caller },
        text: submission.definition_text,
        secret_context: submission.secret_context,
        definition: submission.definition.map_err(|error| error.to_string()),
        carried: submission.carried.map(|carried| Carried::clone(&carried)).unwrap_or_default(),
        on_queued,
        on_finished,
    }
}

#[cfg(test)]
mod tests {
    use deskgrid_job::QueueName;

    use super::*;

    #[test]
    fn a_callback_is_told_job_queue_namespace_and_its_own_payload() {
        let text = r#"{"id":"j","definition":{"image":"a"},"control":{"namespace":"n",
            "callbacks":{"finished":{"url":"http://h/","payload":7}}}}"#;
        let submission = wire::Submission::parse(text).unwrap();
        let submission = to_worker(submission, Outlook::whole(QueueName::new("local").unwrap()));
        assert_eq!(submission.on_queued, None);
        let body = r#"{"jobId":"j","queue":"local","namespace":"n","config":7}"#;
        assert_eq!(submission.on_finished, Some(Call { url: "http://h/".into(), body: body.into() }));
    }

    #[test]
    fn a_definition_that_cannot_run_is_carried_over_with_its_reason() {
        let submission = wire::Submission::parse(r#"{"definition":{"command":"x"}}"#).unwrap();
        let submission = to_worker(submission, Outlook::whole(QueueName::new("local").unwrap()));
        assert!(submission.definition.unwrap_err().contains("neither image nor build"));
    }
}
