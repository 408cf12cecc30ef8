//! The labels and their thresholds. `GET` lists all labels with their effective thresholds, and `PATCH` changes the thresholds of
//! one, on request also in the configuration file. `PUT` says in the configuration file whether one is reported.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::api::{Api, fields, request};
use super::problem::Problem;
use crate::control::{Reporting, ThresholdChange};
use crate::detect::rule;
use crate::event::Subject;
use crate::publish::shared::Directory;
use crate::publish::wire::{Request, score};

/// The answer to `GET /api/v1/labels`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Labels {
    /// The groups of the configuration, then every label of the model in the order of its outputs.
    labels: Vec<Label>,
}

/// One label or group.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Label {
    /// The display name, or the group's name.
    label: String,
    /// The name as an identifier.
    slug: String,
    /// The label's id; null for a group.
    mid: Option<String>,
    /// `yes`; `group` if it is reported under a group's name; `ignored`; or `left_out`.
    reported: &'static str,
    /// The group under whose name it is reported; null if there is none.
    group: Option<String>,
    /// The effective threshold; null if it is not reported under its own name.
    threshold: Option<f64>,
    /// The effective start threshold; null as above.
    start_threshold: Option<f64>,
    /// The effective release; null as above.
    release: Option<f64>,
}

fn all(directory: &Directory) -> Labels {
    let rules = &directory.rules;
    let groups = rule::groups(rules).map(|group| (None, group));
    let labels = directory.labels.subjects().iter().enumerate().map(|(index, subject)| (Some(index), subject));
    let all = groups.chain(labels).map(|(index, subject): (Option<usize>, &Arc<Subject>)| {
        let gate = rules.iter().find(|rule| rule.subject == *subject).map(|rule| &rule.gate);
        let group = rules.iter().find(|rule| rule.subject.is_group() && index.is_some_and(|index| rule.members.contains(&index)));
        let reported = match (gate, group) {
            (Some(_), _) => "yes",
            (None, Some(_)) => "group",
            (None, None) if index.is_some_and(|index| directory.ignored.contains(&index)) => "ignored",
            (None, None) => "left_out",
        };
        Label {
            label: subject.name.clone(),
            slug: subject.slug.clone(),
            mid: index.map(|_| subject.id.clone()),
            reported,
            group: group.map(|rule| rule.subject.name.clone()),
            threshold: gate.map(|gate| score(gate.threshold)),
            start_threshold: gate.map(|gate| score(gate.start_threshold)),
            release: gate.map(|gate| score(gate.release)),
        }
    });
    Labels { labels: all.collect() }
}

/// `GET /api/v1/labels`
pub async fn list(State(api): State<Arc<Api>>) -> Json<Labels> {
    Json(all(&api.shared.directory()))
}

/// `PUT /api/v1/labels/{slug}/reported`
pub async fn choose(
    State(api): State<Arc<Api>>,
    slug: Result<UrlPath<String>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Label>, Problem> {
    let UrlPath(slug) = slug.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let mut fields = fields(&headers, &body)?;
    let wanted = match (fields.remove("reported"), fields.is_empty()) {
        (Some(Value::Bool(true)), true) => Reporting::Reported,
        (Some(Value::Bool(false)), true) => Reporting::LeftOut,
        _ => return Err(Problem::bad_request("this takes the field \"reported\", true or false, and no other")),
    };
    let name = api.shared.subject(&slug)?.name.clone();
    let not_saved = |sentence| Problem::new(StatusCode::CONFLICT, "not_saved", sentence);
    api.shared.choose(name.clone(), wanted).await.map_err(not_saved)?;
    let chosen = all(&api.shared.directory()).labels.into_iter().find(|label| label.label == name);
    chosen.map(Json).ok_or_else(|| not_saved(format!("{name:?} is gone from the configuration that was loaded")))
}

/// `PATCH /api/v1/labels/{slug}`
pub async fn change(
    State(api): State<Arc<Api>>,
    slug: Result<UrlPath<String>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let UrlPath(slug) = slug.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let mut fields = fields(&headers, &body)?;
    let is_saved = match fields.remove("save") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err(Problem::bad_request("save must be true or false")),
    };
    let subject = api.shared.subject(&slug)?;
    if fields.insert("label".to_owned(), subject.name.clone().into()).is_some() {
        return Err(Problem::bad_request("the path names the label; leave \"label\" out"));
    }
    let request = request("set", fields)?;
    let Request::Set { threshold, start_threshold, release, .. } = request else {
        return Err(Problem::bad_request("this sets thresholds and nothing else"));
    };
    for (key, value, least) in
        [("threshold", threshold, 0.0), ("start_threshold", start_threshold, 0.0), ("release", release, -1.0)]
    {
        if let Some(value) = value.filter(|value| !(*value > least && (0.0..=1.0).contains(value))) {
            let above = if least < 0.0 { "from 0 to 1" } else { "above 0 and at most 1" };
            return Err(Problem::bad_request(format!("{key} must be {above}, but it is {value}")));
        }
    }
    // What is left can only contradict the other settings.
    let response = api.answer(request).await.map_err(Problem::or_conflict)?;
    if is_saved {
        let change = ThresholdChange { threshold, start_threshold, release };
        api.shared.save(subject.name.clone(), change).await.map_err(|sentence| {
            let message = format!("the thresholds act until the configuration is loaded again, but are not saved: {sentence}");
            Problem::new(StatusCode::CONFLICT, "not_saved", message)
        })?;
    }
    Ok(response)
}
