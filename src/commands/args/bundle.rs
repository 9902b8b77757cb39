//! A bundle that a flag names: a built-in one by its name, or one of the user's by its path.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use crate::files::Inputs;
use crate::policy::{Bundle, BundleSource, Bundles};

/// Reads a bundle: `NAME` of a built-in one, a `FILE` or `DIR` with one bundle, or `FILE/NAME` or `DIR/NAME`.
pub(in crate::commands) fn bundle(text: &str) -> anyhow::Result<Bundle> {
    if !is_bundle_path(text) {
        let bundles = Bundles::built_in()?;
        let found = bundles
            .find(text)
            .map_err(|error| anyhow!("{error}; one of your own is named by a path: ./{text}"))?;
        return Ok(found.clone());
    }
    let path = Path::new(text);
    if path.exists() {
        return only_one(path);
    }
    let (Some(parent), Some(name)) = (path.parent().filter(|parent| parent.exists()), path.file_name())
    else {
        bail!("bundle {text}: there is no such file or directory");
    };
    let (bundles, own) = read(parent)?;
    let name = name.to_string_lossy();
    if !own.iter().any(|own| *own == name) {
        bail!("{} has no bundle {name:?}; it has {}", shown(parent), listed(&own));
    }
    Ok(bundles.find(&name)?.clone())
}

/// Reads the only bundle of a file or directory; `None` if it has none.
pub(in crate::commands) fn bundle_at(path: &Path) -> anyhow::Result<Option<Bundle>> {
    Ok(if sources_at(path)?.is_empty() { None } else { Some(only_one(path)?) })
}

/// Returns true if a text is the path of a bundle, and not the name of a built-in one.
pub(in crate::commands) fn is_bundle_path(text: &str) -> bool {
    text.contains(['/', '\\', '.'])
}

/// Reads the built-in bundles and those of the user's files and directories.
pub(in crate::commands) fn bundles(paths: &[PathBuf]) -> anyhow::Result<Bundles> {
    let mut sources = Vec::new();
    for path in paths {
        sources.extend(sources_at(path)?);
    }
    Ok(Bundles::with(&sources)?)
}

fn only_one(path: &Path) -> anyhow::Result<Bundle> {
    let (bundles, own) = read(path)?;
    match own.as_slice() {
        [name] => Ok(bundles.find(name)?.clone()),
        [] => bail!("{}: there is no PolicyBundle of kube-devops/v1 in it", path.display()),
        [first, ..] => bail!(
            "{} has several bundles, {}: name one, as in {}",
            path.display(),
            listed(&own),
            path.join(first).display()
        ),
    }
}

/// Reads all bundles that are known together with those at a path, and the names of the latter.
fn read(path: &Path) -> anyhow::Result<(Bundles, Vec<String>)> {
    let sources = sources_at(path)?;
    let bundles = Bundles::with(&sources).with_context(|| shown(path))?;
    Ok((bundles, sources.into_iter().map(|source| source.name).collect()))
}

fn sources_at(path: &Path) -> anyhow::Result<Vec<BundleSource>> {
    let mut found = Vec::new();
    let inputs = Inputs { paths: vec![path.to_owned()], ..Inputs::default() };
    for source in inputs.sources() {
        let source = source.map_err(|failure| anyhow!("bundle {}: {}", failure.source, failure.message))?;
        let place = || format!("bundle {}", source.name());
        let text = source.text().with_context(place)?;
        found.extend(BundleSource::read_all(&text).with_context(place)?);
    }
    Ok(found)
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
