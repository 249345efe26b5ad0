//! What a web hook is told (protocol section 5, *submission webhook*). When and how often is not decided here.

use deskgrid_job::{JobId, Namespace, QueueName};

use crate::json::push_text;

/// The body `{jobId, queue, namespace, config}`, where `payload` is the JSON that the client wants back.
pub fn body(job: &JobId, queue: &QueueName, namespace: &Namespace, payload: &str) -> String {
    let mut out = String::from("{\"jobId\":");
    push_text(&mut out, job.as_str());
    out.push_str(",\"queue\":");
    push_text(&mut out, queue.as_str());
    out.push_str(",\"namespace\":");
    push_text(&mut out, namespace.as_str());
    out.push_str(",\"config\":");
    out.push_str(payload);
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_payload_comes_back_as_config() {
        let (job, queue) = (JobId::new("j").unwrap(), QueueName::new("a \"b\"").unwrap());
        let text = body(&job, &queue, &Namespace::shared(), r#"{"x":[1]}"#);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"jobId": "j", "queue": "a \"b\"", "namespace": "_", "config": {"x": [1]}})
        );
    }
}
