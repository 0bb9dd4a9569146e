// A plotly figure in a notebook. The figure is the JSON in `drawing`, plotly.js the text in `library`: each the value of
// a core widget, so that it reaches the page however long anything here takes. Whatever is drawn, is drawn from there.

const LOADED = Symbol.for("llamavid_kit.plotly"); // plotly.js by its source: evaluated once a page, not once a figure

function plotly(source) {
  const loaded = (globalThis[LOADED] ??= new Map());
  if (!loaded.has(source)) {
    const module = { exports: {} };
    new Function("module", source)(module);
    loaded.set(source, module.exports);
  }
  return loaded.get(source);
}

async function render({ model, el }) {
  const named = (trait) => model.widget_manager.get_model(model.get(trait).slice("IPY_MODEL_".length));
  const [library, drawing] = await Promise.all([named("library"), named("drawing")]);
  const Plotly = plotly(library.get("value"));
  const box = el.appendChild(document.createElement("div"));

  const clicked = ({ points: [{ curveNumber, pointNumber, x, y }] }) =>
    model.send({ trace: curveNumber, index: pointNumber, x, y });
  const draw = async () => {
    const text = drawing.get("value");
    if (!text) return Plotly.purge(box);
    const { data, layout } = JSON.parse(text);
    await Plotly.react(box, data, layout, model.get("config"));
    box.removeAllListeners("plotly_click");
    box.on("plotly_click", clicked);
  };

  let waiting = false; // one drawing at a time; of several changes meanwhile, the last counts
  let last = Promise.resolve();
  const redraw = () => {
    if (waiting) return last;
    waiting = true;
    last = last.then(() => {
      waiting = false;
      return draw();
    }).catch((error) => console.error("the figure could not be drawn:", error));
    return last;
  };
  drawing.on("change:value", redraw);
  redraw();
  return () => {
    drawing.off("change:value", redraw);
    Plotly.purge(box);
  };
}

export default { render };
