//! `config show`: what is set, and where it came from.

use crate::args::Global;
use crate::error::CliError;
use crate::{out, settings};
use ctos_runtime::config::{Explained, Origin};
use serde_json::json;

pub fn show(global: &Global, resolved: bool) -> Result<(), CliError> {
    let settings = settings::resolve(global)?;
    let lines: Vec<&Explained> =
        settings.explain().iter().filter(|e| resolved || e.origin != Origin::Default).collect();
    let values = lines.iter().map(|e| json!({ "path": e.path, "value": e.value, "origin": e.origin.to_string() }));
    let value = json!({ "settings": values.collect::<Vec<_>>() });
    out::show(global.json, &value, |_| {
        if lines.is_empty() {
            return "everything has its default; see `ctos config show --resolved`\n".into();
        }
        let rows: Vec<_> = lines.iter().map(|e| vec![e.path.clone(), e.value.clone(), e.origin.to_string()]).collect();
        out::table(&["setting", "value", "from"], &[], &rows)
    })
}
