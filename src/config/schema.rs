//! The JSON Schema of the configuration file, for editors and for the check of a file.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// Returns the JSON Schema of the configuration file, in draft 7, which every editor knows.
pub fn schema() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<Config>().to_value()
}
