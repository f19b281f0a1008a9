//! The user information item of association PDUs (PS3.7 annex D.3.3).

use super::LinkError;
use super::associate::{for_items, malformed, put, uid, uids};

mod item {
    pub(super) const USER_INFORMATION: u8 = 0x50;
    pub(super) const MAX_LENGTH: u8 = 0x51;
    pub(super) const IMPLEMENTATION_CLASS: u8 = 0x52;
    pub(super) const OPERATIONS_WINDOW: u8 = 0x53;
    pub(super) const ROLE_SELECTION: u8 = 0x54;
    pub(super) const IMPLEMENTATION_VERSION: u8 = 0x55;
    pub(super) const EXTENDED_NEGOTIATION: u8 = 0x56;
}

pub(super) const USER_INFORMATION: u8 = item::USER_INFORMATION;

/// SOP classes that an association can have: one for each presentation context.
const MAX_CLASSES: usize = 128;
/// The longest extended negotiation of the standard's classes has eight bytes.
const MAX_EXTENDED: usize = 64;

/// SCP/SCU role selection (PS3.7 D.3.3.4): in a request what the requestor wants to be, in an answer what it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) sop_class: String,
    pub(crate) scu: bool,
    pub(crate) scp: bool,
}

/// SOP class extended negotiation (PS3.7 D.3.3.5): bytes whose meaning the class defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extended {
    pub(crate) sop_class: String,
    pub(crate) bytes: Vec<u8>,
}

/// What the two sides tell each other beside the presentation contexts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UserInformation {
    /// Largest P-DATA PDU the sender of this PDU receives; 0 means any.
    pub(crate) max_pdu: u32,
    /// Maximum operations invoked and performed (PS3.7 D.3.3.3); absent means one each.
    pub(crate) operations: Option<(u16, u16)>,
    /// At most one for each SOP class.
    pub(crate) roles: Vec<Role>,
    pub(crate) extended: Vec<Extended>,
}

impl UserInformation {
    /// What is not known is passed over, which declines it (PS3.8 9.3.1). User identity is not answered.
    pub(super) fn read(&mut self, value: &[u8]) -> Result<(), LinkError> {
        for_items(value, |kind, value| {
            match (kind, value) {
                (item::MAX_LENGTH, [a, b, c, d]) => self.max_pdu = u32::from_be_bytes([*a, *b, *c, *d]),
                (item::OPERATIONS_WINDOW, [a, b, c, d]) => {
                    self.operations = Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])));
                }
                (item::MAX_LENGTH | item::OPERATIONS_WINDOW, _) => return Err(malformed()),
                (item::ROLE_SELECTION, value) => {
                    let (sop_class, rest) = named(value)?;
                    let [scu, scp] = *rest else { return Err(malformed()) };
                    if self.roles.len() == MAX_CLASSES {
                        return Err(malformed());
                    }
                    self.roles.retain(|role| role.sop_class != sop_class);
                    self.roles.push(Role { sop_class, scu: scu == 1, scp: scp == 1 });
                }
                (item::EXTENDED_NEGOTIATION, value) => {
                    let (sop_class, bytes) = named(value)?;
                    if self.extended.len() == MAX_CLASSES || bytes.len() > MAX_EXTENDED {
                        return Err(malformed());
                    }
                    self.extended.retain(|one| one.sop_class != sop_class);
                    self.extended.push(Extended { sop_class, bytes: bytes.to_vec() });
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// The item with `max_pdu` as what we receive.
    pub(super) fn write(&self, body: &mut Vec<u8>, max_pdu: u32) {
        let mut value = Vec::new();
        put(&mut value, item::MAX_LENGTH, &max_pdu.to_be_bytes());
        put(&mut value, item::IMPLEMENTATION_CLASS, uids::IMPLEMENTATION_CLASS.as_bytes());
        if let Some((invoked, performed)) = self.operations {
            put(&mut value, item::OPERATIONS_WINDOW, &[invoked.to_be_bytes(), performed.to_be_bytes()].concat());
        }
        for role in &self.roles {
            let flags = [u8::from(role.scu), u8::from(role.scp)];
            put(&mut value, item::ROLE_SELECTION, &naming(&role.sop_class, &flags));
        }
        put(&mut value, item::IMPLEMENTATION_VERSION, uids::IMPLEMENTATION_VERSION.as_bytes());
        for one in &self.extended {
            put(&mut value, item::EXTENDED_NEGOTIATION, &naming(&one.sop_class, &one.bytes));
        }
        put(body, item::USER_INFORMATION, &value);
    }
}

/// A SOP class UID with its length, and what follows it.
fn named(value: &[u8]) -> Result<(String, &[u8]), LinkError> {
    let (length, rest) = value.split_first_chunk::<2>().ok_or_else(malformed)?;
    let (class, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(malformed)?;
    Ok((uid(class)?, rest))
}

fn naming(sop_class: &str, rest: &[u8]) -> Vec<u8> {
    // UIDs have at most 64 characters.
    let length = (sop_class.len() as u16).to_be_bytes();
    [&length, sop_class.as_bytes(), rest].concat()
}
