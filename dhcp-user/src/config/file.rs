//! The shape of the TOML file. Owns its keys and which of them take one value or several; must not judge a
//! value: that is [`super::values`].

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::fmt;
use toml::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) subnet: Subnet,
    pub(super) reservation: Vec<Reservation>,
    pub(super) store: Store,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Subnet {
    pub(super) prefix: Option<Spanned<String>>,
    pub(super) pools: Option<Many>,
    pub(super) lease_time: Option<Spanned<Time>>,
    pub(super) router: Option<Many>,
    pub(super) dns: Option<Many>,
    pub(super) domain: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reservation {
    pub(super) mac: Spanned<String>,
    pub(super) address: Spanned<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) horizon: Option<Spanned<i64>>,
}

/// A string, or a list of them.
#[derive(Debug)]
pub(super) struct Many(pub(super) Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<OneOrMany>::deserialize(deserializer)?;
        let span = written.span();
        Ok(match written.into_inner() {
            OneOrMany::One(one) => Self(vec![Spanned::new(span, one)]),
            OneOrMany::Many(many) => Self(many),
        })
    }
}

/// [`Many`] before the lone string has got its place; serde's `untagged` would lose the places in the list.
enum OneOrMany {
    One(String),
    Many(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrList;
        impl<'de> Visitor<'de> for StringOrList {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(text) = list.next_element()? {
                    many.push(text);
                }
                Ok(OneOrMany::Many(many))
            }
        }
        deserializer.deserialize_any(StringOrList)
    }
}

/// A length of time: text with a unit, or seconds.
#[derive(Debug)]
pub(super) enum Time {
    Text(String),
    Seconds(i64),
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrSeconds;
        impl Visitor<'_> for TextOrSeconds {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string like \"1h\", or seconds")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                Ok(Time::Text(text.to_owned()))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Time, E> {
                Ok(Time::Seconds(seconds))
            }
        }
        deserializer.deserialize_any(TextOrSeconds)
    }
}
