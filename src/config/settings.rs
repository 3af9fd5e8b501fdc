//! What was said, key by key, before it means anything: the zoo.cfg lines over the `-D` words, as
//! Apache lets them win. Reading a value follows its row in the table of keys.

use std::collections::BTreeMap;
use std::fmt;

use super::error::{ConfigError, ExitCode, Finding, Place, Severity, What};
use super::java;
use super::jvmflags::JvmFlags;
use super::keys::{self, Bounds, Key, Kind, Outside, Scope, Status, Work};
use super::properties::{Entry, Properties};

/// One value that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    pub place: Place,
}

/// Text that no log line may show: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for whoever has to compare or show it on purpose.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// All values that were said and have an effect in Apache, by the key's name in zoo.cfg.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
}

/// Secrets stay hidden.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, setting)| match row(name).kind {
            Kind::Secret => (name, "<secret>"),
            _ => (name, setting.value.as_str()),
        });
        f.debug_map().entries(shown).finish()
    }
}

impl Settings {
    /// Joins file and flags, and notes whatever has no effect.
    pub(super) fn collect(
        file: &str,
        properties: &Properties,
        jvm: &JvmFlags,
        findings: &mut Vec<Finding>,
    ) -> Settings {
        let mut settings = Settings::default();
        for entry in &properties.replaced {
            findings.push(replaced_finding(file, entry, properties));
        }
        for entry in &properties.entries {
            settings.take_entry(file, entry, findings);
        }
        settings.take_flags(jvm, findings);
        settings
    }

    /// Joins arguments, given as keys and values, and flags.
    pub(super) fn of_arguments(
        arguments: &[(&str, &str)],
        jvm: &JvmFlags,
        findings: &mut Vec<Finding>,
    ) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in arguments {
            let setting = Setting { value: (*value).to_owned(), place: Place::Arguments };
            settings.values.insert((*key).to_owned(), setting);
        }
        settings.take_flags(jvm, findings);
        settings
    }

    fn take_entry(&mut self, file: &str, entry: &Entry, findings: &mut Vec<Finding>) {
        let place = in_file(file, entry.line);
        let key = keys::find(&entry.key);
        if key.is_some_and(Key::works_in_file) {
            let setting = Setting { value: entry.value.clone(), place: place.clone() };
            self.values.insert(entry.key.clone(), setting);
        }
        if let Some((severity, what, message)) = remark(&entry.key, key) {
            let key = Some(entry.key.clone());
            findings.push(Finding { severity, what, place, key, message });
        }
    }

    fn take_flags(&mut self, jvm: &JvmFlags, findings: &mut Vec<Finding>) {
        let mut foreign: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, property) in jvm.properties() {
            let place = Place::Variable(property.variable.clone());
            let Some(key) = keys::find_property(name) else {
                if name.starts_with("zookeeper.") {
                    findings.push(unknown_flag(name, place));
                } else {
                    foreign.entry(&property.variable).or_default().push(name);
                }
                continue;
            };
            let name_in_file = match key.scope {
                Scope::DashD(_) => key.name,
                _ => name.strip_prefix("zookeeper.").unwrap_or(name),
            };
            self.take_flag(name_in_file, key, &property.value, place, findings);
        }
        for (variable, name) in jvm.quoted() {
            let message = format!("the quotation marks in -D{name} are part of the value");
            findings.push(flag_finding(variable, Severity::Warning, What::Advice, message));
        }
        for (variable, words) in foreign {
            let message = format!("not used here: {}", words.join(", "));
            findings.push(flag_finding(variable, Severity::Info, What::JavaOnly, message));
        }
        let mut ignored: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (variable, word) in jvm.ignored() {
            ignored.entry(variable).or_default().push(word);
        }
        for (variable, words) in ignored {
            let message = format!("for a Java virtual machine, ignored: {}", words.join(" "));
            findings.push(flag_finding(variable, Severity::Info, What::JavaOnly, message));
        }
    }

    fn take_flag(
        &mut self,
        name: &str,
        key: &Key,
        value: &str,
        place: Place,
        findings: &mut Vec<Finding>,
    ) {
        let in_file = self.values.get(name).filter(|s| matches!(s.place, Place::File { .. }));
        if let Some(said) = in_file {
            let message = format!("{} says otherwise and wins", said.place);
            let (severity, key) = (Severity::Warning, Some(name.to_owned()));
            if said.value != value {
                findings.push(Finding { severity, what: What::Value, place, key, message });
            }
            return;
        }
        if let Some((severity, what, message)) = status_remark(key) {
            let key = Some(name.to_owned());
            findings.push(Finding { severity, what, place: place.clone(), key, message });
        }
        self.values.insert(name.to_owned(), Setting { value: value.to_owned(), place });
    }

    /// The text said for a key.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|setting| setting.value.as_str())
    }

    /// The text said for a key, and where.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.values.get(name)
    }

    /// All that was said, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.values.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// The keys that were said and about which this server has that to say.
    pub fn with_status<'a>(&'a self, statuses: &'a [Status]) -> impl Iterator<Item = &'a str> + 'a {
        let chosen = move |name: &&str| statuses.contains(&row(name).status);
        self.values.keys().map(String::as_str).filter(chosen)
    }

    /// What was said for the keys that begin so, the beginning cut off.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Setting)> {
        self.iter().filter_map(move |(name, setting)| Some((name.strip_prefix(prefix)?, setting)))
    }
}

fn in_file(file: &str, line: u32) -> Place {
    Place::File { file: file.to_owned(), line: Some(line) }
}

fn replaced_finding(file: &str, entry: &Entry, properties: &Properties) -> Finding {
    let winner = properties.find(&entry.key).map_or(0, |last| last.line);
    Finding {
        severity: Severity::Warning,
        what: What::Value,
        place: in_file(file, entry.line),
        key: Some(entry.key.clone()),
        message: format!("said again on line {winner}, which wins"),
    }
}

fn unknown_flag(name: &str, place: Place) -> Finding {
    let (severity, what, key) = (Severity::Info, What::Unknown, Some(name.to_owned()));
    let message = "no such system property; kept without effect".to_owned();
    Finding { severity, what, place, key, message }
}

fn flag_finding(variable: &str, severity: Severity, what: What, message: String) -> Finding {
    Finding { severity, what, place: Place::Variable(variable.to_owned()), key: None, message }
}

/// What is to be said about a line of this name.
fn remark(name: &str, key: Option<&Key>) -> Option<(Severity, What, String)> {
    let Some(key) = key else {
        let message = "unknown key; kept without effect, as Apache keeps it".to_owned();
        return Some((Severity::Warning, What::Unknown, message));
    };
    let bare = name.strip_prefix("zookeeper.");
    let message = match key.scope {
        Scope::DashD(full) => {
            format!("has an effect only as -D{full} in JVMFLAGS, as in Apache; this line has none")
        }
        Scope::Nowhere(_) if bare.and_then(keys::find).is_some_and(Key::works_in_file) => {
            format!("has no effect in a file, as in Apache; write {}", bare.unwrap_or(name))
        }
        Scope::Nowhere("") => "has no effect, as in Apache".to_owned(),
        Scope::Nowhere(instead) => format!("has no effect, as in Apache; write {instead}"),
        _ => return status_remark(key),
    };
    Some((Severity::Warning, What::NoEffect, message))
}

fn status_remark(key: &Key) -> Option<(Severity, What, String)> {
    match key.status {
        // Said together, once it is known whether there is an ensemble.
        Status::Honoured | Status::InEnsemble | Status::Later(Work::Reconfig) => None,
        Status::Later(work) => {
            // Security that is silently missing would be worse than a line too many.
            let security = work == Work::Security;
            let severity = if security { Severity::Warning } else { Severity::Info };
            let message = format!("no effect yet: comes with {}", work.words());
            Some((severity, What::Later, message))
        }
        Status::NotApplicable(reason) => {
            let message = format!("accepted without effect: {reason}");
            Some((Severity::Info, What::NotApplicable, message))
        }
    }
}

/// Reads values by their rows, and notes where the value in force is not the one said.
pub(super) struct Reader<'a> {
    pub settings: &'a Settings,
    pub findings: Vec<Finding>,
    /// What to blame for something that nobody said.
    whole: Place,
}

impl<'a> Reader<'a> {
    pub fn new(settings: &'a Settings, whole: Place) -> Reader<'a> {
        Reader { settings, findings: vec![], whole }
    }

    /// An error about a key, at the line that said it, else at the whole.
    pub fn refuse(&self, key: &str, words: &str, advice: &str) -> ConfigError {
        let said = self.settings.get(key).map(|setting| setting.place.clone());
        ConfigError::new(said.unwrap_or(self.whole.clone()), words, advice).of_key(key)
    }

    /// A number that has a default.
    pub fn int(&mut self, name: &str) -> Result<i32, ConfigError> {
        let number = self.long(name)?;
        Ok(i32::try_from(number).expect("the kind of the row has bounded it"))
    }

    /// A number that has a default.
    pub fn long(&mut self, name: &str) -> Result<i64, ConfigError> {
        Ok(self.optional_long(name)?.expect("the row has a plain default"))
    }

    /// A number, or the row's default if that is one.
    pub fn optional_long(&mut self, name: &str) -> Result<Option<i64>, ConfigError> {
        let key = row(name);
        let default = key.plain_default().map(|text| java::parse_long(text).expect("a number"));
        let Some(setting) = self.settings.get(name) else { return Ok(default) };
        let number = match read_number(key.kind, &setting.value) {
            Ok(number) => number,
            Err(_) if !stops_the_start(key.kind) => {
                self.fall_back(name, key, setting);
                return Ok(default);
            }
            Err(error) => return Err(refusal(name, key, setting, error.to_string())),
        };
        self.bounded(name, key, setting, number, default)
    }

    fn bounded(
        &mut self,
        name: &str,
        key: &Key,
        setting: &Setting,
        number: i64,
        default: Option<i64>,
    ) -> Result<Option<i64>, ConfigError> {
        let Some(Bounds { min, max, outside }) = key.bounds else { return Ok(Some(number)) };
        if (min..=max).contains(&number) {
            return Ok(Some(number));
        }
        let taken = match outside {
            Outside::Refuse if name == "electionAlg" => {
                let words = "Invalid electionAlg value. Only 3 is supported.";
                return Err(refusal(name, key, setting, words.to_owned()));
            }
            Outside::Refuse => {
                let words = format!("port out of range:{number}");
                return Err(refusal(name, key, setting, words));
            }
            Outside::Clamp => Some(number.clamp(min, max)),
            Outside::Default => default,
        };
        let in_force = taken.map_or("none".to_owned(), |number| number.to_string());
        let message = format!("{number} is out of bounds; {in_force} is used");
        self.warn(What::Value, name, setting, message);
        Ok(taken)
    }

    /// A fraction.
    pub fn float(&mut self, name: &str) -> Result<f64, ConfigError> {
        let key = row(name);
        let default = key.plain_default().expect("the row has a default");
        let default = java::parse_double(default).expect("a default that reads");
        let Some(setting) = self.settings.get(name) else { return Ok(default) };
        match java::parse_double(&setting.value) {
            Ok(number) => Ok(number),
            Err(_) if key.kind == Kind::Float => {
                self.fall_back(name, key, setting);
                Ok(default)
            }
            Err(error) => Err(refusal(name, key, setting, error.to_string())),
        }
    }

    /// A switch.
    pub fn switch(&mut self, name: &str) -> Result<bool, ConfigError> {
        let key = row(name);
        let Some(setting) = self.settings.get(name) else {
            return Ok(matches!(key.default, "true" | "yes"));
        };
        let text = setting.value.as_str();
        let on = match key.kind {
            // Only the zoo.cfg line of such a key is read strictly.
            Kind::Bool if matches!(setting.place, Place::Variable(_)) => java::parse_boolean(text),
            Kind::Bool if text.eq_ignore_ascii_case("true") => true,
            Kind::Bool if text.eq_ignore_ascii_case("false") => false,
            Kind::Bool => {
                let words = format!("Invalid option {text} for {name}. Choose 'true' or 'false.'");
                return Err(refusal(name, key, setting, words));
            }
            Kind::Flag => java::parse_boolean(text),
            Kind::ExactTrue => text == "true",
            Kind::Yes => text == "yes",
            Kind::NotNo => text != "no",
            Kind::NotFalse => text != "false",
            other => unreachable!("{name} is no switch but {other:?}"),
        };
        let expected = match key.kind {
            Kind::Yes | Kind::NotNo => ["yes", "no"],
            _ => ["true", "false"],
        };
        let lower = text.to_lowercase();
        let any_case = matches!(key.kind, Kind::Bool | Kind::Flag);
        if !expected.contains(&if any_case { lower.as_str() } else { text }) {
            let (word, kind) = (if on { "on" } else { "off" }, key.kind.words());
            self.warn(What::Value, name, setting, format!("{text:?} means {word}; write {kind}"));
        }
        Ok(on)
    }

    /// Text, or the row's default if there is one.
    pub fn text(&self, name: &str) -> Option<String> {
        let said = self.settings.text(name);
        said.or(row(name).plain_default()).map(str::to_owned)
    }

    /// The non-empty words of a list, trimmed.
    pub fn words(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// Where a key was said.
    pub fn place(&self, name: &str) -> Option<Place> {
        self.settings.get(name).map(|setting| setting.place.clone())
    }

    /// Notes something about a key that was said.
    pub fn remark(&mut self, what: What, name: &str, message: String) {
        if let Some(setting) = self.settings.get(name) {
            self.warn(what, name, setting, message);
        }
    }

    fn fall_back(&mut self, name: &str, key: &Key, setting: &Setting) {
        let default = key.default.trim_start_matches('=');
        let message = format!("{:?} is no number; {default} is used, as in Apache", setting.value);
        self.warn(What::Value, name, setting, message);
    }

    fn warn(&mut self, what: What, name: &str, setting: &Setting, message: String) {
        let (place, key) = (setting.place.clone(), Some(name.to_owned()));
        self.findings.push(Finding { severity: Severity::Warning, what, place, key, message });
    }
}

fn row(name: &str) -> &'static Key {
    keys::find(name).expect("the code asks only for keys that have a row")
}

fn read_number(kind: Kind, text: &str) -> Result<i64, java::NumberFormat> {
    let no_number = || java::NumberFormat(text.to_owned());
    match kind {
        Kind::Int | Kind::StrictInt => java::parse_int(text).map(i64::from),
        Kind::Long | Kind::LenientLong => java::parse_long(text),
        Kind::DecodedInt => java::decode_int(text).map(i64::from).ok_or_else(no_number),
        Kind::DecodedLong => java::decode_long(text).ok_or_else(no_number),
        other => unreachable!("{other:?} is no number"),
    }
}

fn stops_the_start(kind: Kind) -> bool {
    matches!(kind, Kind::Int | Kind::Long | Kind::StrictInt)
}

/// What zoo.cfg's own reader refuses ends with 2; a system property that a Java class reads
/// strictly kills that class, and the start with 1.
fn refusal(name: &str, key: &Key, setting: &Setting, words: String) -> ConfigError {
    let exit = match key.scope {
        Scope::Native | Scope::NativeOrProperty => ExitCode::Configuration,
        _ => ExitCode::Unexpected,
    };
    let default = key.plain_default().map(|d| format!(", the default is {d}")).unwrap_or_default();
    let advice = format!("{name} takes {}{default}", advice_words(key));
    ConfigError::new(setting.place.clone(), words, advice).of_key(name).exiting(exit)
}

fn advice_words(key: &Key) -> String {
    match (key.kind, key.bounds) {
        (Kind::Bool, _) => "true or false".to_owned(),
        (_, Some(Bounds { min, max, .. })) if min == max => format!("only {min}"),
        (_, Some(Bounds { min, max, .. })) if max < i64::MAX => format!("{min} to {max}"),
        (Kind::StrictFloat, _) => "a fraction such as 0.1".to_owned(),
        _ => "a whole decimal number".to_owned(),
    }
}

/// Refuses the first line that zoo.cfg's own reader cannot read, whether or not anything here
/// needs its value: Apache reads them all.
pub(super) fn check_native(settings: &Settings) -> Result<(), ConfigError> {
    let mut said: Vec<_> = settings.iter().collect();
    said.sort_by_key(|(_, setting)| match setting.place {
        Place::File { line, .. } => line.unwrap_or(0),
        _ => u32::MAX,
    });
    let mut reader = Reader::new(settings, Place::Arguments);
    for (name, _) in said {
        let key = row(name);
        if !matches!(key.scope, Scope::Native | Scope::NativeOrProperty) {
            continue;
        }
        match key.kind {
            Kind::Bool => drop(reader.switch(name)?),
            Kind::Int | Kind::Long => drop(reader.optional_long(name)?),
            _ => {}
        }
    }
    Ok(())
}
