//! Metadata records of quotas, ACLs, credentials and tokens.

use bytes::Bytes;
use uuid::Uuid;

use crate::wire::message;

message! {
    /// A quota is set or removed.
    pub struct ClientQuotaRecord: key 14, versions 0..=0, flexible 0 {
        entity: Vec<EntityData>,
        key: String,
        value: f64,
        remove: bool,
    }

    pub struct EntityData {
        entity_type: String,
        entity_name: Option<String> = Some(String::new()),
    }

    /// An ACL is added.
    pub struct AccessControlEntryRecord: key 18, versions 0..=0, flexible 0 {
        id: Uuid,
        resource_type: i8,
        resource_name: String,
        pattern_type: i8,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }

    /// An ACL is removed.
    pub struct RemoveAccessControlEntryRecord: key 19, versions 0..=0, flexible 0 {
        id: Uuid,
    }

    /// A SCRAM credential is set.
    pub struct UserScramCredentialRecord: key 11, versions 0..=0, flexible 0 {
        name: String,
        mechanism: i8,
        salt: Bytes,
        stored_key: Bytes,
        server_key: Bytes,
        iterations: i32,
    }

    /// A SCRAM credential is removed.
    pub struct RemoveUserScramCredentialRecord: key 22, versions 0..=0, flexible 0 {
        name: String,
        mechanism: i8,
    }

    /// A delegation token is created or renewed.
    pub struct DelegationTokenRecord: key 10, versions 0..=0, flexible 0 {
        owner: String,
        requester: String,
        renewers: Vec<String>,
        issue_timestamp: i64,
        max_timestamp: i64,
        expiration_timestamp: i64,
        token_id: String,
    }

    /// A delegation token is removed.
    pub struct RemoveDelegationTokenRecord: key 26, versions 0..=0, flexible 0 {
        token_id: String,
    }
}
