//! One running member.
