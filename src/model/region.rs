//! The regions of Lightsail.
//!
//! Owns the table, which serves names and suggestions only: a region that is missing may be new. Does not decide which regions
//! are read.

/// A region of Lightsail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name, such as `eu-central-1`.
    pub name: &'static str,
    /// The display name of the service: a city, state or country.
    pub display: &'static str,
    /// The continent code of the service.
    pub continent: &'static str,
}

/// Every region that the SDK knows, by name. A test compares the two.
pub const REGIONS: &[Region] = &[
    region("ap-east-1", "Hong Kong", "AP"),
    region("ap-northeast-1", "Tokyo", "AP"),
    region("ap-northeast-2", "Seoul", "AP"),
    region("ap-south-1", "Mumbai", "AP"),
    region("ap-southeast-1", "Singapore", "AP"),
    region("ap-southeast-2", "Sydney", "AP"),
    region("ap-southeast-3", "Jakarta", "AP"),
    region("ap-southeast-5", "Malaysia", "AP"),
    region("ca-central-1", "Montreal", "NA"),
    region("eu-central-1", "Frankfurt", "EU"),
    region("eu-north-1", "Stockholm", "EU"),
    region("eu-south-2", "Spain", "EU"),
    region("eu-west-1", "Ireland", "EU"),
    region("eu-west-2", "London", "EU"),
    region("eu-west-3", "Paris", "EU"),
    region("sa-east-1", "São Paulo", "SA"),
    region("us-east-1", "Virginia", "NA"),
    region("us-east-2", "Ohio", "NA"),
    region("us-west-1", "California", "NA"),
    region("us-west-2", "Oregon", "NA"),
];

const fn region(name: &'static str, display: &'static str, continent: &'static str) -> Region {
    Region {
        name,
        display,
        continent,
    }
}
