//! How many connections may ask for a session: a bucket of tokens, refilled by time, and a random
//! drop that grows while the bucket is found empty (BLUE). Off unless configured.

/// The `connection_throttle_*` keys, as configured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThrottleConfig {
    /// Size of the bucket; 0 switches the throttle off.
    pub tokens: i32,
    /// The bucket gets `fill_count` tokens in this time.
    pub fill_time_ms: i32,
    /// See `fill_time_ms`.
    pub fill_count: i32,
    /// The drop probability changes at most once in this time; -1 switches the random drop off.
    pub freeze_time_ms: i32,
    /// Added to the drop probability while the bucket is empty.
    pub drop_increase: f64,
    /// Taken from it while the bucket is full enough.
    pub drop_decrease: f64,
    /// "Full enough": at most this part of the tokens is missing.
    pub decrease_ratio: f64,
    /// What a session costs; `None` is one token for each.
    pub weights: Option<Weights>,
}

impl Default for ThrottleConfig {
    fn default() -> ThrottleConfig {
        ThrottleConfig {
            tokens: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: -1,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weights: None,
        }
    }
}

/// The price of each kind of session in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// A new session of the whole ensemble.
    pub global: i32,
    /// A session taken up again.
    pub renew: i32,
    /// A new local session.
    pub local: i32,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights { global: 3, renew: 2, local: 1 }
    }
}

impl Weights {
    /// As Apache repairs them: what is not above 0 becomes the default, and neither a global nor
    /// a renewed session is cheaper than a local one.
    pub fn repaired(self) -> Weights {
        let default = Weights::default();
        let price = |weight: i32, default: i32| match weight {
            ..=0 => default,
            weight => weight.max(self.local),
        };
        Weights {
            global: price(self.global, default.global),
            renew: price(self.renew, default.renew),
            local: if self.local <= 0 { default.local } else { self.local },
        }
    }
}

/// What a ConnectRequest asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionCost {
    /// A new session of the whole ensemble.
    Global,
    /// A session taken up again.
    Renew,
    /// A new local session.
    Local,
}

/// The throttle of one server (Apache's `BlueThrottle`). Times are monotonic milliseconds.
#[derive(Debug)]
pub struct ConnectionThrottle {
    config: ThrottleConfig,
    tokens_max: i64,
    tokens: i64,
    filled_ms: i64,
    frozen_ms: i64,
    drop_probability: f64,
}

impl ConnectionThrottle {
    /// Starts with a full bucket.
    pub fn new(config: ThrottleConfig, now_ms: i64) -> ConnectionThrottle {
        let config = ThrottleConfig { weights: config.weights.map(Weights::repaired), ..config };
        // Tokens are counted for global sessions when sessions have a price.
        let tokens_max = i64::from(config.tokens) * config.price(SessionCost::Global);
        ConnectionThrottle {
            config,
            tokens_max,
            tokens: tokens_max,
            filled_ms: now_ms,
            frozen_ms: now_ms,
            drop_probability: 0.0,
        }
    }

    /// Whether a connection may have its session; it is closed without a word if not. `draw` is
    /// random, evenly spread over [0, 1).
    pub fn admit(&mut self, cost: SessionCost, now_ms: i64, draw: f64) -> bool {
        if self.tokens_max == 0 {
            return true;
        }
        self.refill(now_ms);
        if self.config.freeze_time_ms != -1 {
            self.adapt(now_ms);
            if draw < self.drop_probability {
                return false;
            }
        }
        let price = self.config.price(cost);
        let paid = self.tokens >= price;
        if paid {
            self.tokens -= price;
        }
        paid
    }

    /// Tokens missing from a full bucket (`connection_token_deficit`, recorded at each connect).
    pub fn deficit(&self) -> i64 {
        self.tokens_max - self.tokens
    }

    /// `connection_drop_probability`.
    pub fn drop_probability(&self) -> f64 {
        self.drop_probability
    }

    fn refill(&mut self, now_ms: i64) {
        let passed_ms = now_ms - self.filled_ms;
        let fill_time_ms = i64::from(self.config.fill_time_ms).max(1);
        if passed_ms <= fill_time_ms {
            return;
        }
        let count = i64::from(self.config.fill_count) * self.config.price(SessionCost::Global);
        let refill = passed_ms.saturating_mul(count) / fill_time_ms;
        self.tokens = self.tokens.saturating_add(refill).min(self.tokens_max);
        if self.tokens < 0 {
            self.tokens = self.tokens_max;
        }
        self.filled_ms = now_ms;
    }

    /// Moves the drop probability, at most once in the freeze time.
    fn adapt(&mut self, now_ms: i64) {
        if now_ms - self.frozen_ms <= i64::from(self.config.freeze_time_ms) {
            return;
        }
        let enough = (self.tokens_max as f64 * self.config.decrease_ratio).round() as i64;
        if self.tokens == 0 {
            self.drop_probability = (self.drop_probability + self.config.drop_increase).min(1.0);
        } else if self.deficit() <= enough {
            self.drop_probability = (self.drop_probability - self.config.drop_decrease).max(0.0);
        }
        self.frozen_ms = now_ms;
    }
}

impl ThrottleConfig {
    fn price(&self, cost: SessionCost) -> i64 {
        i64::from(match (self.weights, cost) {
            (None, _) => 1,
            (Some(weights), SessionCost::Global) => weights.global,
            (Some(weights), SessionCost::Renew) => weights.renew,
            (Some(weights), SessionCost::Local) => weights.local,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SessionCost::*;

    #[test]
    fn without_tokens_configured_everybody_comes_in() {
        let mut throttle = ConnectionThrottle::new(ThrottleConfig::default(), 0);
        assert!((0..10_000).all(|_| throttle.admit(Global, 0, 0.0)));
        assert_eq!(throttle.deficit(), 0);
    }

    #[test]
    fn a_bucket_empties_and_fills_with_time() {
        let config = ThrottleConfig { tokens: 3, fill_time_ms: 10, ..Default::default() };
        let mut throttle = ConnectionThrottle::new(config, 0);
        let admitted = |throttle: &mut ConnectionThrottle, now| {
            (0..5).filter(|_| throttle.admit(Global, now, 0.0)).count()
        };
        assert_eq!(admitted(&mut throttle, 0), 3);
        assert_eq!(throttle.deficit(), 3);
        assert_eq!(admitted(&mut throttle, 10), 0, "not before more than the fill time");
        assert_eq!(admitted(&mut throttle, 25), 2);
        assert_eq!(admitted(&mut throttle, 10_000), 3);
    }

    #[test]
    fn prices_multiply_the_bucket() {
        let config =
            ThrottleConfig { tokens: 2, weights: Some(Weights::default()), ..Default::default() };
        let mut throttle = ConnectionThrottle::new(config, 0);
        assert!(throttle.admit(Global, 0, 0.0) && throttle.admit(Renew, 0, 0.0));
        assert_eq!(throttle.deficit(), 5);
        assert!(!throttle.admit(Renew, 0, 0.0) && throttle.admit(Local, 0, 0.0));
    }

    #[test]
    fn prices_are_repaired() {
        let odd = Weights { global: 2, renew: 0, local: 4 };
        assert_eq!(odd.repaired(), Weights { global: 4, renew: 2, local: 4 });
        let none = Weights { global: -1, renew: -1, local: 0 };
        assert_eq!(none.repaired(), Weights::default());
    }

    #[test]
    fn an_empty_bucket_makes_drops_likelier_and_a_full_one_rarer() {
        let config = ThrottleConfig {
            tokens: 1,
            fill_time_ms: 1000,
            freeze_time_ms: 10,
            drop_increase: 0.5,
            drop_decrease: 0.25,
            ..Default::default()
        };
        let mut throttle = ConnectionThrottle::new(config, 0);
        assert!(throttle.admit(Global, 0, 0.0));
        assert!(!throttle.admit(Global, 11, 0.9));
        assert_eq!(throttle.drop_probability(), 0.5);
        assert!(!throttle.admit(Global, 22, 0.9), "the bucket is still empty");
        assert_eq!(throttle.drop_probability(), 1.0);
        assert!(throttle.admit(Global, 5000, 0.8), "the bucket is full again");
        assert_eq!(throttle.drop_probability(), 0.75);
    }
}
