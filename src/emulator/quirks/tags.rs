//! The switches for what is not known of `TagResource` and `UntagResource`.
//!
//! **Owns** their answers. **Does not** know their names on the command line.

use super::Words;

words! {
    /// What `TagResource` does to a key that is there already.
    OnTag {
        /// The new value takes the place of the old one.
        #[default]
        Overwrite = "overwrite",
        /// The old value stays, and the request succeeds.
        Keep = "keep",
        /// It is an `InvalidInputException`.
        Refuse = "refuse",
    }
}

words! {
    /// Which operations a change of tags has.
    TagOperations {
        /// One without a type, since the service model has no type for it.
        #[default]
        Untyped = "untyped",
        /// One with the name of the action as its type.
        Typed = "typed",
        /// None: the list is empty, and nothing is remembered.
        Empty = "none",
    }
}

words! {
    /// What becomes of a `resourceArn` that is not the ARN of the resource with the name.
    OtherArn {
        /// It is ignored: the name decides.
        #[default]
        Ignore = "ignore",
        /// It is a `NotFoundException`.
        Refuse = "refuse",
    }
}
