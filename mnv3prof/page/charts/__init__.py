"""Charts of the report as plotly figures: data and layout, which the page's script draws."""
