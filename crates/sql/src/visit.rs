//! Shows an [`Eye`] every struct and field of a syntax tree, by name. pg_query's types derive `Serialize`, so a serializer that
//! writes nothing meets also what is a plain field and never wrapped in a `Node` (INTO, WITH, OVER): it never misses a struct,
//! and never uses the crate's own, inexhaustive iterators.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};

/// What looks at a tree. Calls come in the tree's own order, depth first.
pub(crate) trait Eye {
    /// A struct begins.
    fn enter(&mut self, kind: &'static str);
    /// The next value belongs to this field of the innermost struct.
    fn field(&mut self, name: &'static str);
    /// A string.
    fn text(&mut self, text: &str);
    /// A bool.
    fn flag(&mut self, flag: bool);
    /// A number or enum value.
    fn number(&mut self, number: i32);
    /// The innermost struct ends.
    fn leave(&mut self);
}

/// A shape in the tree that this walker does not know.
#[derive(Debug)]
pub(crate) struct Strange(pub(crate) String);

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Strange {}

impl ser::Error for Strange {
    fn custom<T: fmt::Display>(message: T) -> Strange {
        Strange(message.to_string())
    }
}

/// Shows the whole of `node` to `eye`.
pub(crate) fn walk<T: Serialize + ?Sized, E: Eye>(node: &T, eye: &mut E) -> Result<(), Strange> {
    node.serialize(&mut Walk(eye))
}

struct Walk<'a, E>(&'a mut E);

type Never = Impossible<(), Strange>;
type Step = Result<(), Strange>;

macro_rules! leaf {
    ($($name:ident $of:ty),*) => { $(fn $name(self, _: $of) -> Step { Ok(()) })* };
}

macro_rules! strange {
    ($($name:ident ($($of:ty),*) $gives:ty;)*) => {
        $(fn $name(self, $(_: $of),*) -> Result<$gives, Strange> { Err(Strange(stringify!($name).to_owned())) })*
    };
}

impl<E: Eye> Serializer for &mut Walk<'_, E> {
    type Ok = ();
    type Error = Strange;
    type SerializeSeq = Self;
    type SerializeStruct = Self;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStructVariant = Never;

    leaf!(serialize_i8 i8, serialize_i16 i16, serialize_i64 i64, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_f32 f32, serialize_f64 f64, serialize_char char, serialize_bytes &[u8]);
    strange!(serialize_tuple(usize) Never; serialize_map(Option<usize>) Never;
        serialize_tuple_struct(&'static str, usize) Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) Never;
        serialize_unit_struct(&'static str) (); serialize_unit_variant(&'static str, u32, &'static str) (););

    fn serialize_bool(self, flag: bool) -> Step {
        self.0.flag(flag);
        Ok(())
    }

    fn serialize_i32(self, number: i32) -> Step {
        self.0.number(number);
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Step {
        self.0.text(text);
        Ok(())
    }

    fn serialize_none(self) -> Step {
        Ok(())
    }

    fn serialize_unit(self) -> Step {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Step {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Step {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Step {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Strange> {
        Ok(self)
    }

    fn serialize_struct(self, kind: &'static str, _: usize) -> Result<Self, Strange> {
        self.0.enter(kind);
        Ok(self)
    }
}

impl<E: Eye> SerializeSeq for &mut Walk<'_, E> {
    type Ok = ();
    type Error = Strange;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Step {
        value.serialize(&mut **self)
    }

    fn end(self) -> Step {
        Ok(())
    }
}

impl<E: Eye> SerializeStruct for &mut Walk<'_, E> {
    type Ok = ();
    type Error = Strange;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Step {
        self.0.field(name);
        value.serialize(&mut **self)
    }

    fn end(self) -> Step {
        self.0.leave();
        Ok(())
    }
}
