//! The words of `JVMFLAGS` and `SERVER_JVMFLAGS`: `-D` words are configuration, all others belong
//! to a Java virtual machine and are named once at start.
//!
//! Apache's scripts pass `$SERVER_JVMFLAGS $JVMFLAGS` to java without quotes around them (bin/
//! zkServer.sh), so the shell cuts them at blanks and leaves quotes in the text as they stand. Of
//! two equal names the last wins, hence `JVMFLAGS` over `SERVER_JVMFLAGS`.

use std::collections::BTreeMap;

use nom::branch::alt;
use nom::bytes::complete::{is_not, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{opt, recognize};
use nom::multi::{many0, many1_count};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

/// One `-Dname=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemProperty {
    pub value: String,
    /// The environment variable it came from.
    pub variable: String,
}

/// All that the variables said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JvmFlags {
    properties: BTreeMap<String, SystemProperty>,
    ignored: Vec<(String, String)>,
    quoted: Vec<(String, String)>,
}

impl JvmFlags {
    /// No flags at all.
    pub fn none() -> JvmFlags {
        JvmFlags::default()
    }

    /// The text of the two variables, where they are set.
    pub fn from_variables(server_jvmflags: Option<&str>, jvmflags: Option<&str>) -> JvmFlags {
        let mut flags = JvmFlags::none();
        flags.add("SERVER_JVMFLAGS", server_jvmflags.unwrap_or(""));
        flags.add("JVMFLAGS", jvmflags.unwrap_or(""));
        flags
    }

    /// Adds the words of one variable; its `-D` words win over those added before.
    pub fn add(&mut self, variable: &str, text: &str) {
        for word in split_words(text) {
            match word.strip_prefix("-D").filter(|definition| !definition.is_empty()) {
                Some(definition) => self.define(variable, definition),
                None => self.ignored.push((variable.to_owned(), word)),
            }
        }
    }

    fn define(&mut self, variable: &str, definition: &str) {
        let (name, value) = definition.split_once('=').unwrap_or((definition, ""));
        if value.contains(['"', '\'']) {
            self.quoted.push((variable.to_owned(), name.to_owned()));
        }
        let property = SystemProperty { value: value.to_owned(), variable: variable.to_owned() };
        self.properties.insert(name.to_owned(), property);
    }

    /// The value of a system property.
    pub fn get(&self, name: &str) -> Option<&SystemProperty> {
        self.properties.get(name)
    }

    /// All system properties, by name.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &SystemProperty)> {
        self.properties.iter().map(|(name, property)| (name.as_str(), property))
    }

    /// The words that only a Java virtual machine understands, as `(variable, word)`.
    pub fn ignored(&self) -> &[(String, String)] {
        &self.ignored
    }

    /// `(variable, property)` of values that hold a quotation mark, which is nearly always a
    /// mistake: no shell ever removes it.
    pub fn quoted(&self) -> &[(String, String)] {
        &self.quoted
    }
}

/// Cuts at blanks. Where a quotation mark opens in a word and closes in a later one, the blanks
/// between belong to the value and the marks go: java itself would refuse to start on the torn
/// word, so nothing that works there changes its meaning.
fn split_words(text: &str) -> Vec<String> {
    let (_, words) = words(text).expect("any text is a list of words");
    words.into_iter().map(unquote).collect()
}

fn words(text: &str) -> IResult<&str, Vec<&str>> {
    let blanks = || take_while(char::is_whitespace);
    preceded(blanks(), many0(terminated(word, blanks()))).parse(text)
}

fn word(text: &str) -> IResult<&str, &str> {
    let quoted =
        |mark: char, inside: &'static str| recognize((char(mark), opt(is_not(inside)), char(mark)));
    let bare = take_while1(|c: char| !c.is_whitespace() && c != '"' && c != '\'');
    let stray = recognize(alt((char('"'), char('\''))));
    recognize(many1_count(alt((quoted('"', "\""), quoted('\'', "'"), bare, stray)))).parse(text)
}

fn unquote(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        word.replace(['"', '\''], "")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(flags: &'a JvmFlags, name: &str) -> Option<&'a str> {
        flags.get(name).map(|property| property.value.as_str())
    }

    #[test]
    fn d_words_are_properties_and_the_rest_is_named() {
        let text = " -Xmx1g -Djute.maxbuffer=4194304\t-XX:+UseG1GC -Dzookeeper.skipACL=yes \
                    -javaagent:/a.jar=7070:/b.yml\n";
        let flags = JvmFlags::from_variables(None, Some(text));
        assert_eq!(value(&flags, "jute.maxbuffer"), Some("4194304"));
        assert_eq!(value(&flags, "zookeeper.skipACL"), Some("yes"));
        let ignored: Vec<_> = flags.ignored().iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(ignored, ["-Xmx1g", "-XX:+UseG1GC", "-javaagent:/a.jar=7070:/b.yml"]);
        assert!(flags.ignored().iter().all(|(variable, _)| variable == "JVMFLAGS"));
    }

    #[test]
    fn jvmflags_wins_over_server_jvmflags_and_the_last_word_over_the_first() {
        let flags = JvmFlags::from_variables(Some("-Da=1 -Db=1"), Some("-Da=2 -Da=3"));
        assert_eq!(value(&flags, "a"), Some("3"));
        let b = flags.get("b").expect("set by SERVER_JVMFLAGS");
        assert_eq!((b.value.as_str(), b.variable.as_str()), ("1", "SERVER_JVMFLAGS"));
    }

    #[test]
    fn a_name_without_value_is_empty_and_a_value_may_hold_equals_signs() {
        let flags = JvmFlags::from_variables(None, Some("-Da -Db= -Dc=x=y -D"));
        assert_eq!(value(&flags, "a"), Some(""));
        assert_eq!(value(&flags, "b"), Some(""));
        assert_eq!(value(&flags, "c"), Some("x=y"));
        assert_eq!(flags.ignored().len(), 1);
    }

    #[test]
    fn quotation_marks_without_blanks_stay_in_the_value_as_in_apaches_scripts() {
        let flags = JvmFlags::from_variables(None, Some("-Da=\"x\" -Db=it's"));
        assert_eq!(value(&flags, "a"), Some("\"x\""));
        assert_eq!(value(&flags, "b"), Some("it's"));
        assert_eq!(flags.quoted().len(), 2);
    }

    #[test]
    fn quotation_marks_around_blanks_hold_a_value_together() {
        let flags = JvmFlags::from_variables(None, Some("-Da=\"x y\" '-Db=1 2' -Dc=3"));
        assert_eq!(value(&flags, "a"), Some("x y"));
        assert_eq!(value(&flags, "b"), Some("1 2"));
        assert_eq!(value(&flags, "c"), Some("3"));
        assert!(flags.quoted().is_empty());
    }
}
