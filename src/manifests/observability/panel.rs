//! A panel of a dashboard.

use serde_json::{Value, json};

/// The form of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One number, or one for each series.
    Stat,
    /// Lines over time.
    TimeSeries,
    /// Bars, one for each series, ranked.
    BarGauge,
}

impl Form {
    /// Returns the id of Grafana's plugin.
    fn kind(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::TimeSeries => "timeseries",
            Self::BarGauge => "bargauge",
        }
    }

    /// Returns all options that the plugin requires, most of them with its defaults.
    ///
    /// Source: the types `Options` of `github.com/grafana/grafana-foundation-sdk/go`.
    fn options(self) -> Value {
        let legend = |shown: bool| json!({ "displayMode": "list", "placement": "bottom", "showLegend": shown, "calcs": [] });
        let reduce = json!({ "values": false, "calcs": ["lastNotNull"], "fields": "" });
        match self {
            Self::Stat => json!({
                "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "textMode": "auto",
                "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
                "orientation": "auto", "reduceOptions": reduce,
            }),
            Self::TimeSeries => {
                json!({ "legend": legend(true), "tooltip": { "mode": "multi", "sort": "desc" } })
            }
            Self::BarGauge => json!({
                "orientation": "horizontal", "displayMode": "basic", "valueMode": "color", "namePlacement": "auto",
                "showUnfilled": true, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
                "legend": legend(false), "reduceOptions": reduce,
            }),
        }
    }
}

/// A panel.
#[derive(Debug)]
pub struct Panel {
    /// The title.
    pub title: &'static str,
    /// One sentence for readers.
    pub description: &'static str,
    /// The form.
    pub form: Form,
    /// The unit, by Grafana's ids.
    pub unit: &'static str,
    /// The width in columns, of which a dashboard has 24.
    pub width: u32,
    /// The queries in `PromQL`, each with its legend.
    pub queries: &'static [(&'static str, &'static str)],
}

/// The height of a panel in Grafana's grid.
pub(super) const HEIGHT: u32 = 8;

impl Panel {
    /// Returns the panel as Grafana's JSON model, at a place in the grid.
    pub(super) fn model(&self, id: usize, x: u32, y: u32) -> Value {
        let datasource = json!({ "type": "prometheus", "uid": "${datasource}" });
        let is_instant = self.form != Form::TimeSeries;
        let targets: Vec<_> = self
            .queries
            .iter()
            .zip('A'..='Z')
            .map(|((expression, legend), id)| {
                json!({
                    "refId": id, "datasource": datasource, "expr": expression, "legendFormat": legend,
                    "instant": is_instant, "range": !is_instant,
                })
            })
            .collect();
        let mut defaults = json!({ "unit": self.unit });
        if self.unit == "percentunit" {
            defaults["min"] = 0.into();
            defaults["max"] = 1.into();
        }
        json!({
            "id": id, "type": self.form.kind(), "title": self.title, "description": self.description,
            "gridPos": { "x": x, "y": y, "w": self.width, "h": HEIGHT },
            "datasource": datasource, "targets": targets, "options": self.form.options(),
            "fieldConfig": { "defaults": defaults, "overrides": [] },
        })
    }
}
