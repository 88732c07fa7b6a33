//! API keys: from the environment, from a program that holds them, or from a file that only its owner can read.
//! Never: prints a key, keeps its text in memory longer than it takes to make a signer of it, or takes the key of
//! another account.

use crate::UserError;
use crate::config::{Node, Raw, SecretSettings, VenueAccount, nearest, parse_yaml};
use ctos_driver_binance::Credentials;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// Where keys are looked for when no file is named.
pub const FILE: &str = "configs/secrets.yaml";

const PREFIX: &str = "CTOS__SECRETS__";
/// What a key has in the environment.
const VARIABLES: [&str; 4] = ["API_KEY", "API_SECRET", "PRIVATE_KEY", "PRIVATE_KEY_FILE"];
/// What a key has in a file. Older names in the same sense follow the newer ones.
const FIELDS: [&str; 7] =
    ["api_key", "api_secret", "private_key", "private_key_file", "public_key", "secret_key", "passphrase"];
/// How long a program may take to hand out a key: a person may have to unlock something.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
const MAX_BYTES: u64 = 64 << 10;

/// An API key as it was found. `Debug` shows where, and nothing else.
pub struct Key {
    api_key: Zeroizing<String>,
    /// HMAC secret or the PEM text of a private key.
    secret: Zeroizing<String>,
    /// For messages.
    pub found_in: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("api_key", &"***").field("secret", &"***").field("in", &self.found_in).finish()
    }
}

/// Whether an environment variable is a key's and so no setting.
pub(crate) fn is_key_variable(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once("__"));
    rest.is_some_and(|(key, field)| !key.is_empty() && VARIABLES.contains(&field.to_uppercase().as_str()))
}

/// What signs for an account at a venue. `env`: the variables of the process.
///
/// # Errors
/// There is none, or it cannot be used; nothing of it is in the message.
pub fn credentials(
    settings: &SecretSettings,
    account: &VenueAccount,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Credentials, UserError> {
    let key = find(settings, &account.key, env)?.ok_or_else(|| {
        let variable = format!("{PREFIX}{}", account.key.to_uppercase().replace('-', "_"));
        UserError::new(
            format!("there is no API key called {}", account.key),
            format!(
                "put it into {FILE} (configs/secrets.example.yaml shows how), or set {variable}__API_KEY and {variable}__API_SECRET"
            ),
        )
    })?;
    Credentials::new(&key.api_key, &key.secret).map_err(|e| {
        let text = e.to_string();
        let (what, hint) = text.split_once("; hint: ").unwrap_or((&text, "copy the key again"));
        UserError::new(format!("the API key {} ({}) cannot be used: {what}", account.key, key.found_in), hint)
    })
}

/// A key by what it is called: from the environment, else from the command, else from the file.
pub fn find(
    settings: &SecretSettings,
    name: &str,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Option<Key>, UserError> {
    if let Some(key) = from_env(name, env)? {
        return Ok(Some(key));
    }
    if !settings.command.is_empty() {
        return from_command(&settings.command, name).map(Some);
    }
    let path = match &settings.file {
        Some(path) => path.clone(),
        None if Path::new(FILE).exists() => PathBuf::from(FILE),
        None => return Ok(None),
    };
    from_file(&path, name)
}

// ---- the three places

fn from_env(name: &str, env: impl IntoIterator<Item = (String, String)>) -> Result<Option<Key>, UserError> {
    // Names of variables have no dashes and, by custom, no small letters.
    let same = |a: &str, b: &str| a.to_lowercase().replace('-', "_") == b.to_lowercase().replace('-', "_");
    let mut fields = Fields::default();
    for (variable, value) in env {
        let value = Zeroizing::new(value);
        let Some((of, field)) = variable.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once("__")) else { continue };
        if same(of, name) && !value.is_empty() && VARIABLES.contains(&field.to_uppercase().as_str()) {
            fields.0.insert(field.to_lowercase(), value);
        }
    }
    if fields.0.is_empty() {
        return Ok(None);
    }
    fields.key(name, "the environment", Path::new("")).map(Some)
}

fn from_command(command: &[String], name: &str) -> Result<Key, UserError> {
    let shown = &command[0];
    let failed = |why: String, hint: &str| UserError::new(format!("secrets.command {shown}: {why}"), hint.to_owned());
    let mut child = Command::new(&command[0])
        .args(command[1..].iter().map(|word| word.replace("{key}", name)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| failed(format!("cannot be started: {e}"), "name a program by its path, with its arguments"))?;
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    let begun = Instant::now();
    // It writes a few lines: they fit the pipe, and it ends without being read.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < COMMAND_WITHIN => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                let hint = "try it by hand; it must print the key and end";
                return Err(failed(format!("did not end within {} s", COMMAND_WITHIN.as_secs()), hint));
            }
        }
    };
    let read = child.stdout.take().map(|out| out.take(MAX_BYTES).read_to_string(&mut text));
    if !status.success() {
        let code = status.code().map_or("by a signal".into(), |code| format!("with {code}"));
        return Err(failed(format!("ended {code} for the key {name}"), "try it by hand with the same arguments"));
    }
    if !matches!(read, Some(Ok(_))) {
        return Err(failed("printed no text".into(), "it must print api_key and api_secret as YAML or JSON"));
    }
    let mut fields = Fields::of_node(parse(&format!("output of {shown}"), &text)?, shown)?;
    fields.check(shown)?;
    fields.key(name, &format!("output of {shown}"), Path::new(""))
}

fn from_file(path: &Path, name: &str) -> Result<Option<Key>, UserError> {
    let shown = path.display().to_string();
    let text = read_private(path)?;
    let mut root = Fields::map(parse(&shown, &text)?, &shown)?;
    let mut found = None;
    for (section, node) in std::mem::take(&mut root.0) {
        match section.as_str() {
            // Since the first version of the format.
            "keys" => {
                let mut keys = Fields::map(node, &shown)?;
                if let Some(node) = keys.0.remove(name) {
                    found = Some(node);
                }
            }
            // As account files of older systems have it: accounts by venue and name.
            "accounts" => {
                let mut venues = Fields::map(node, &shown)?;
                if let Some(node) = venues.0.remove("binance") {
                    let mut keys = Fields::map(node, &shown)?;
                    if let Some(node) = keys.0.remove(name) {
                        found.get_or_insert(node);
                    }
                }
            }
            other => {
                let line = node.origin.to_string();
                wipe(node);
                let hint = match nearest(other, ["keys", "accounts"]) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "write `keys:` and below it one section for each key".into(),
                };
                return Err(UserError::new(format!("{line}: unknown section in the secrets"), hint));
            }
        }
    }
    let Some(node) = found else { return Ok(None) };
    let mut fields = Fields::of_node(node, &shown)?;
    fields.check(&shown)?;
    let beside = path.parent().unwrap_or(Path::new(""));
    fields.key(name, &shown, beside).map(Some)
}

// ---- reading

/// The text of a file that only its owner can read.
fn read_private(path: &Path) -> Result<Zeroizing<String>, UserError> {
    let shown = path.display();
    let failed =
        |e: std::io::Error| UserError::new(format!("cannot read {shown}: {e}"), "check the path, and that it is yours");
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return Err(UserError::new(format!("{shown} is no file of keys"), "name a small text file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = about.mode() & 0o777;
        if mode & 0o077 != 0 {
            let message = format!("{shown} holds keys and can be read by others (mode {mode:03o})");
            return Err(UserError::new(message, format!("chmod 600 {shown}")));
        }
    }
    // Room for all of it: a buffer that grew would leave its smaller selves behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize + 1));
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// The tree of a text of keys. What the parser says of a text may quote it: only the place is told.
fn parse(name: &str, text: &str) -> Result<Node, UserError> {
    parse_yaml(name, text).map_err(|e| {
        let place = e.message.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        let line: Option<usize> = place.and_then(|rest| rest.split(':').next()).and_then(|n| n.parse().ok());
        let line = line.map_or(String::new(), |n| format!(":{n}"));
        UserError::new(
            format!("{name}{line}: not readable as keys"),
            "write it as in configs/secrets.example.yaml; quote values with \"...\"",
        )
    })
}

/// Leaves nothing of a tree in memory that it owned.
fn wipe(node: Node) {
    match node.value {
        Raw::Null => {}
        Raw::Text(mut text) => text.zeroize(),
        Raw::List(items) => items.into_iter().for_each(wipe),
        Raw::Map(map) => map.into_values().for_each(wipe),
    }
}

/// Entries of a section; wiped when dropped.
struct Entries(BTreeMap<String, Node>);

impl Drop for Entries {
    fn drop(&mut self) {
        std::mem::take(&mut self.0).into_values().for_each(wipe);
    }
}

/// What belongs to one key.
#[derive(Default)]
struct Fields(BTreeMap<String, Zeroizing<String>>);

impl Fields {
    fn map(node: Node, shown: &str) -> Result<Entries, UserError> {
        let origin = node.origin.to_string();
        match node.value {
            Raw::Map(map) => Ok(Entries(map)),
            Raw::Null => Ok(Entries(BTreeMap::new())),
            value => {
                wipe(Node { origin: node.origin, value });
                let place = if origin == "default" { shown.to_owned() } else { origin };
                Err(UserError::new(
                    format!("{place}: a section of keys is needed here"),
                    "write it as in configs/secrets.example.yaml",
                ))
            }
        }
    }

    fn of_node(node: Node, shown: &str) -> Result<Fields, UserError> {
        let mut entries = Fields::map(node, shown)?;
        let mut fields = Fields::default();
        for (field, node) in std::mem::take(&mut entries.0) {
            match node.value {
                Raw::Null => {}
                Raw::Text(text) => drop(fields.0.insert(field, Zeroizing::new(text))),
                value => {
                    let place = node.origin.to_string();
                    wipe(Node { origin: node.origin, value });
                    return Err(UserError::new(
                        format!("{place}: a single value is needed here"),
                        "write for example api_key: \"...\"",
                    ));
                }
            }
        }
        Ok(fields)
    }

    /// No field that nobody reads: a typing error would look like a missing key.
    fn check(&mut self, shown: &str) -> Result<(), UserError> {
        let unknown = self.0.keys().find(|field| !FIELDS.contains(&field.as_str()));
        match unknown {
            None => Ok(()),
            // A field's name is not told either: a secret may have slipped into its place.
            Some(field) => Err(UserError::new(
                format!("{shown}: a key has a field that is not known"),
                match nearest(field, FIELDS) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "a key has api_key, and api_secret or private_key_file".into(),
                },
            )),
        }
    }

    /// `beside`: what a relative path of a private key is relative to.
    fn key(mut self, name: &str, found_in: &str, beside: &Path) -> Result<Key, UserError> {
        let mut take = |names: [&str; 2]| names.into_iter().find_map(|n| self.0.remove(n));
        let missing = |what: &str| {
            UserError::new(
                format!("the key {name} in {found_in} has no {what}"),
                "a key has api_key, and api_secret or private_key_file",
            )
        };
        let api_key = take(["api_key", "public_key"]).ok_or_else(|| missing("api_key"))?;
        let plain = take(["api_secret", "secret_key"]);
        let pem = take(["private_key", "private_key"]);
        let file = take(["private_key_file", "private_key_file"]);
        let secret = match (plain, pem, file) {
            (Some(secret), None, None) | (None, Some(secret), None) => secret,
            (None, None, Some(path)) => read_private(&beside.join(path.as_str()))?,
            (None, None, None) => return Err(missing("api_secret and no private_key_file")),
            _ => {
                return Err(UserError::new(
                    format!("the key {name} in {found_in} has more than one secret"),
                    "keep one of api_secret, private_key and private_key_file",
                ));
            }
        };
        Ok(Key { api_key, secret, found_in: found_in.to_owned() })
    }
}

#[cfg(test)]
mod tests;
