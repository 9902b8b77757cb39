//! Objects of Kubernetes as manifests, for kubectl and for files.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::yaml;

/// The format of manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ManifestFormat {
    /// One YAML document for each object.
    #[default]
    Yaml,
    /// One JSON list of all objects.
    Json,
}

impl ManifestFormat {
    /// Writes objects.
    pub fn write(self, objects: &[Value], out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Yaml => {
                for (index, object) in objects.iter().enumerate() {
                    if index > 0 {
                        writeln!(out, "---")?;
                    }
                    yaml::write(out, object)?;
                }
                Ok(())
            }
            Self::Json => {
                let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
                serde_json::to_writer_pretty(&mut *out, &list)?;
                writeln!(out)
            }
        }
    }
}
