//! `GET /api/v1/openapi.json`: the OpenAPI description of the interface. The paths are written by hand in `openapi.json`; the
//! schemas of the answers come from the types that are serialised.

use axum::Json;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::health::Healthz;
use super::labels::Labels;
use super::problem::Refused;
use super::recent::Counts;
use crate::publish::wire::{ClipList, Event, HistoryCounts, HistoryGaps, HistoryPage, KeptEvent, Live, Status, Top};

/// The description without the schemas of the answers.
const PATHS: &str = include_str!("openapi.json");

/// The whole description, with the schemas.
pub fn description() -> Value {
    let settings =
        SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    generator.subschema_for::<Status>();
    generator.subschema_for::<Top>();
    generator.subschema_for::<Event>();
    generator.subschema_for::<Live>();
    generator.subschema_for::<Counts>();
    generator.subschema_for::<HistoryPage>();
    generator.subschema_for::<HistoryCounts>();
    generator.subschema_for::<HistoryGaps>();
    generator.subschema_for::<KeptEvent>();
    generator.subschema_for::<ClipList>();
    generator.subschema_for::<Labels>();
    generator.subschema_for::<Healthz>();
    generator.subschema_for::<Refused>();
    let mut description: Value = serde_json::from_str(PATHS).unwrap_or_default();
    description["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    if let Some(schemas) = description["components"]["schemas"].as_object_mut() {
        schemas.extend(generator.take_definitions(true));
    }
    description
}

/// `GET /api/v1/openapi.json`
pub async fn describe() -> Json<Value> {
    Json(description())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::publish::http::routes;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let routed: BTreeSet<(String, String)> = routes::open()
            .into_iter()
            .chain(routes::closed())
            .map(|(path, method, _)| (path.to_owned(), method.to_owned()))
            .collect();
        let description = description();
        let described: BTreeSet<(String, String)> = description["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone())))
            .collect();
        assert_eq!(routed, described);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let description = description();
        let text = description.to_string();
        let mut references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).peekable();
        assert!(references.peek().is_some());
        for reference in references {
            assert!(description.pointer(reference).is_some(), "{reference}");
        }
    }
}
