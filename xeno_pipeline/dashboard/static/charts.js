// Charts of ECharts, from the JSON in `data-chart`. Colours are the style sheet's variables; no style is written inline
// by hand, and tooltips are drawn in the picture, so the strict policy holds.
"use strict";

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    ink: read("--ink"), quiet: read("--quiet"), line: read("--line"), raised: read("--raised"),
    bar: read("--bar"), accent: read("--accent"), compared: read("--compared"), good: read("--good"),
  };
};

const axisFormat = ({ style, currency, locale }) => {
  const options = { notation: "compact", maximumFractionDigits: 1 };
  if (style === "money" && currency) Object.assign(options, { style: "currency", currency, minimumFractionDigits: 0 });
  if (style === "percent") Object.assign(options, { style: "percent", notation: "standard" });
  const format = new Intl.NumberFormat(locale, options);
  return (value) => format.format(value);
};

const option = (data) => {
  const colour = colours();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const text = { color: colour.quiet, fontFamily: "Inter, system-ui, sans-serif", fontSize: 12 };
  const colourOf = (each, usual) => (each.quiet ? colour.compared : each.good ? colour.good : usual);
  const series = data.series.map((each) => ({
    name: each.name,
    type: each.kind,
    data: each.values.map((value, place) =>
      each.partial && each.partial[place] && each.kind === "bar"
        ? { value, itemStyle: { opacity: 0.5, borderColor: colour.bar, borderType: "dashed", borderWidth: 1 } }
        : value),
    barMaxWidth: 34,
    barCategoryGap: "28%",
    symbol: "none",
    smooth: 0.15,
    z: each.kind === "line" ? 3 : 2,
    itemStyle: { color: colourOf(each, each.kind === "line" ? colour.accent : colour.bar), borderRadius: each.kind === "bar" ? [3, 3, 0, 0] : 0 },
    lineStyle: { width: each.quiet ? 1.5 : 2.5, type: each.quiet ? [4, 3] : "solid", color: colourOf(each, colour.accent) },
    emphasis: { disabled: each.kind === "line", itemStyle: { color: colour.accent } },
  }));
  return {
    animation: !still,
    animationDuration: 250,
    textStyle: text,
    grid: { left: 4, right: 8, top: data.series.length > 1 ? 34 : 12, bottom: 4, containLabel: true },
    legend: data.series.length > 1
      ? { top: 0, left: 0, textStyle: text, itemWidth: 16, itemHeight: 8, icon: "roundRect", selectedMode: false }
      : undefined,
    xAxis: {
      type: "category", data: data.labels, axisTick: { show: false },
      axisLine: { lineStyle: { color: colour.line } }, axisLabel: { ...text, hideOverlap: true },
    },
    yAxis: {
      type: "value", axisLabel: { ...text, formatter: axisFormat(data.format) },
      splitLine: { lineStyle: { color: colour.line } },
    },
    tooltip: {
      trigger: "axis", renderMode: "richText", confine: true,
      axisPointer: { type: "shadow", shadowStyle: { opacity: 0.08, color: colour.quiet } },
      backgroundColor: colour.raised, borderColor: colour.line, textStyle: { ...text, color: colour.ink },
      formatter: (points) => [
        points[0].axisValueLabel,
        ...points.map((point) => `${point.seriesName}: ${data.series[point.seriesIndex].texts[point.dataIndex]}`),
      ].join("\n"),
    },
    series,
  };
};

const draw = (place) => {
  const data = JSON.parse(place.dataset.chart);
  const known = echarts.getInstanceByDom(place);
  const chart = known || echarts.init(place, null, { renderer: "svg" });
  chart.setOption(option(data), true);
  if (known) return;
  if (data.links.length) {
    chart.getZr().on("click", (event) => {
      const [column] = chart.convertFromPixel({ seriesIndex: 0 }, [event.offsetX, event.offsetY]);
      if (chart.containPixel("grid", [event.offsetX, event.offsetY]) && data.links[column]) location.href = data.links[column];
    });
  }
  new ResizeObserver(() => chart.resize()).observe(place);
};

const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("htmx:after:swap", drawAll);
