//! Resources, static and by template.

use rmcp::{
    ErrorData,
    model::{
        ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse, ReadResourceResult,
    },
};
use serde_json::json;

use crate::tools::{self, PNG};

pub fn list() -> ListResourcesResult {
    let resource = |uri: &str, kind: &str| {
        json!({
            "uri": uri,
            "name": uri.trim_start_matches("test://"),
            "description": "A resource of the conformance suite.",
            "mimeType": kind,
        })
    };
    let resources = json!([
        resource("test://static-text", "text/plain"),
        resource("test://static-binary", "image/png"),
        resource("test://watched-resource", "text/plain"),
    ]);
    tools::read(json!({ "resources": resources }))
}

pub fn templates() -> ListResourceTemplatesResult {
    let template = json!({
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "A template of the conformance suite.",
        "mimeType": "application/json",
    });
    tools::read(json!({ "resourceTemplates": [template] }))
}

pub fn read(uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let contents = match (uri, id) {
        ("test://static-text", _) => json!({
            "uri": uri,
            "mimeType": "text/plain",
            "text": "This is the content of the static text resource.",
        }),
        ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        ("test://watched-resource", _) => {
            json!({ "uri": uri, "mimeType": "text/plain", "text": "Nothing changes here." })
        }
        (_, Some(id)) => {
            let data =
                json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() })
        }
        _ => {
            return Err(ErrorData::resource_not_found(
                "There is no such resource.",
                Some(json!({ "uri": uri })),
            ));
        }
    };
    let result: ReadResourceResult = tools::read(json!({ "contents": [contents] }));
    Ok(result.into())
}
