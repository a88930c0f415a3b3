"use strict";
// Drives the page: the list of tracks, the locus box, axes and downloads. igv.js draws.
(async () => {
  const get = (id) => document.getElementById(id);
  const about = JSON.parse(get("about").textContent);
  const phone = window.matchMedia("(max-width: 720px)").matches;
  const embedded = (file) => document.querySelector(`script[data-file="${CSS.escape(file)}"]`);
  const inPage = embedded(about.bases) !== null;
  const say = (text) => { get("status").textContent = text; };
  // igv.js puts names into the page as HTML.
  const plain = (text) => text.replace(/</g, "\u2039").replace(/>/g, "\u203a");

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // -- files ---------------------------------------------------------------------------------------------------------
  function link(file) {
    if (!inPage) return encodeURI(file);
    const type = file.endsWith(".gz") ? "application/gzip" : "application/octet-stream";
    return `data:${type};base64,${embedded(file).textContent}`;
  }

  async function bytes(file) {
    if (inPage) return Uint8Array.from(atob(embedded(file).textContent), (sign) => sign.charCodeAt(0));
    const answer = await fetch(encodeURI(file));
    if (!answer.ok) throw new Error(`${file}: ${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  // Whole files, so that any web server will do: many cannot send parts of one.
  const bigWig = async (file) => (inPage ? link(file) : new File([await bytes(file)], file));

  function save(name, content, type) {
    const address = URL.createObjectURL(new Blob([content], { type }));
    const anchor = element("a");
    anchor.href = address;
    anchor.download = name;
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  // -- tracks --------------------------------------------------------------------------------------------------------
  const shown = new Map();  // file -> track
  const alleles = new Set(about.alleles);
  let axes = "limits";

  function range(row, signal) {
    // REF and ALT of a track have one axis, whatever is in view.
    if (axes === "view") return { autoscale: true, autoscaleGroup: `${about.rows.indexOf(row)} ${signal.axis}` };
    const [min, max] = axes === "shared" ? signal.shared : signal.limits;
    return { autoscale: false, min, max };
  }

  async function load(row, signal, order) {
    // The allele first: it is what tells neighbours apart where a name is cut.
    const words = [signal.allele, phone ? "" : row.modality, row.label, row.detail];
    const look = { name: plain(words.filter(Boolean).join(" ")), order, removable: false };
    const config = signal.kind === "arcs"
      ? { ...look, type: "junction", format: "bed", url: link(signal.file), indexed: false, height: 70 }
      : { ...look, type: "wig", format: "bigwig", url: await bigWig(signal.file), height: 46, color: signal.color,
          altColor: signal.below, graphType: "bar", windowFunction: "mean", ...range(row, signal) };
    const track = await browser.loadTrack(config);
    if (!track) return;
    shown.set(signal.file, track);
    if (track.paintAxis) {  // igv.js gives axes that are shared a colour by chance
      const paint = track.paintAxis.bind(track);
      Object.defineProperty(track, "paintAxis", { value: (context, width, height) => paint(context, width, height) });
    }
  }

  function wanted(row, signal) {
    return row.on && (!signal.allele || alleles.has(signal.allele));
  }

  // One change after another: igv.js does not bear a track that goes while it draws.
  let work = Promise.resolve();
  function enqueue(change) {
    work = work.then(change).catch((error) => say(String(error.message || error)));
    return work;
  }

  function refresh() {
    count();
    return enqueue(async () => {
      for (const [number, row] of about.rows.entries()) {
        for (const [part, signal] of row.signals.entries()) {
          const there = shown.get(signal.file);
          if (wanted(row, signal) && !there) {
            await load(row, signal, 1000 + 10 * number + part);
          } else if (!wanted(row, signal) && there) {
            browser.removeTrack(there);
            shown.delete(signal.file);
          }
        }
      }
      browser.reorderTracks();
      document.body.dataset.shown = shown.size;
    });
  }

  function count() {
    get("count").textContent = `${about.rows.filter((row) => row.on).length} of ${about.rows.length} shown`;
  }

  async function rescale() {
    axes = get("scale").value;
    for (const row of about.rows) {
      for (const signal of row.signals) {
        const track = shown.get(signal.file);
        if (!track || signal.kind === "arcs") continue;
        const { autoscale, autoscaleGroup, min, max } = range(row, signal);
        Object.assign(track, { autoscale, autoscaleGroup });
        if (!autoscale) track.dataRange = { min, max };
      }
    }
    await browser.updateViews();
    browser.repaintViews();
  }

  // -- the list ------------------------------------------------------------------------------------------------------
  function list() {
    let modality;
    for (const row of about.rows) {
      if (row.modality !== modality) {
        modality = row.modality;
        const head = element("li", "head", modality);
        head.dataset.modality = modality;
        get("list").append(head);
      }
      const item = element("li", "row");
      const box = element("input");
      box.type = "checkbox";
      box.checked = row.on;
      box.id = `row-${about.rows.indexOf(row)}`;
      box.addEventListener("change", () => { row.on = box.checked; refresh(); });
      const text = element("div");
      const label = element("label", "label");
      label.htmlFor = box.id;
      const swatch = element("span", "swatch");
      swatch.style.background = row.color;
      label.append(swatch, row.label);
      text.append(label);
      if (row.detail) text.append(element("span", "detail", row.detail));
      const files = element("span", "files");
      for (const signal of row.signals) {
        const anchor = element("a", "", signal.allele || (signal.kind === "arcs" ? "BED" : "bigWig"));
        anchor.href = inPage ? "#" : encodeURI(signal.file);
        anchor.download = signal.file;
        anchor.title = `save ${signal.file}`;
        if (inPage) anchor.addEventListener("click", async (event) => {
          event.preventDefault();
          save(signal.file, await bytes(signal.file), "application/octet-stream");
        });
        files.append(anchor);
      }
      files.prepend("save ");
      text.append(files);
      item.append(box, text);
      get("list").append(item);
      Object.assign(row, { item, box });
    }
  }

  function filter() {
    const words = get("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const heads = new Set();
    for (const row of about.rows) {
      row.item.hidden = !words.every((word) => row.words.includes(word));
      if (!row.item.hidden) heads.add(row.modality);
    }
    for (const head of get("list").querySelectorAll(".head")) head.hidden = !heads.has(head.dataset.modality);
    get("nothing").hidden = heads.size > 0;
  }

  function tick(on) {
    for (const row of about.rows) {
      if (!row.item.hidden) row.on = row.box.checked = on;
    }
    refresh();
  }

  // -- where ---------------------------------------------------------------------------------------------------------
  function find(text) {
    const clean = text.trim();
    const gene = about.genes[clean.toUpperCase()];
    if (gene) {
      const room = Math.max(500, Math.round((gene[2] - gene[1]) / 20));
      return [gene[0], gene[1] - room, gene[2] + room];
    }
    const match = clean.match(/^([^:\s]+)(?::\s*([\d,]+)(?:\s*-\s*([\d,]+))?)?$/);
    if (!match) return null;
    const names = Object.keys(about.lengths);
    const name = names.find((one) => one === match[1] || one === `chr${match[1]}` || `chr${one}` === match[1]);
    if (!name || match[2] === undefined) return null;
    const number = (digits) => parseInt(digits.replace(/,/g, ""), 10);
    const start = number(match[2]);
    const end = match[3] === undefined ? start : number(match[3]);
    if (!(start >= 1 && end >= start)) return null;
    return match[3] === undefined ? [name, start - 101, start + 100] : [name, start - 1, end];
  }

  async function go(text) {
    const place = find(text);
    if (!place) {
      const genes = Object.keys(about.genes).slice(0, 3).join(", ");
      say(`Cannot find "${text}": give a locus such as ${about.locus}${genes ? `, or a gene such as ${genes}` : ""}.`);
      return;
    }
    const [name, start, end] = place;
    const length = about.lengths[name];
    if (start >= length) {
      say(`${name} has ${length.toLocaleString("en")} bp.`);
      return;
    }
    say("");
    await enqueue(() => browser.search(`${name}:${Math.max(0, start) + 1}-${Math.min(end, length)}`));
  }

  function moved(frames) {
    const frame = (Array.isArray(frames) ? frames : [frames])[0];
    if (!frame || frame.chr === undefined) return;
    const text = frame.label || frame.getLocusString?.() || `${frame.chr}:${Math.round(frame.start) + 1}-${Math.round(frame.end)}`;
    get("locus").value = text;
    ruler?.repaintViews();
    genes?.repaintViews();
  }

  // A track is wider than what is in view. Words that an edge of the view would cut are left out, or moved inside.
  function wholeWords(track, move) {
    const draw = track.draw.bind(track);
    track.draw = (options) => {
      const canvas = options.context;
      const fillText = canvas.fillText.bind(canvas);
      const left = -(options.pixelXOffset || 0);
      const right = left + options.viewportWidth;
      canvas.fillText = (text, x, y, ...rest) => {
        const width = canvas.measureText(text).width;
        const start = x - (canvas.textAlign === "center" ? width / 2 : 0);
        const cut = (edge) => start < edge && start + width > edge;
        const away = cut(left) ? left - start + 2 : cut(right) ? right - start - width - 2 : 0;
        if (!away || (move && width < options.viewportWidth)) fillText(text, x + away, y, ...rest);
      };
      draw(options);
      delete canvas.fillText;
    };
  }

  // -- start ---------------------------------------------------------------------------------------------------------
  if (phone) get("side").open = false;
  list();
  count();
  get("bar").addEventListener("submit", (event) => { event.preventDefault(); go(get("locus").value); });
  get("filter").addEventListener("input", filter);
  get("all").addEventListener("click", () => tick(true));
  get("none").addEventListener("click", () => tick(false));
  get("session").addEventListener("click", () => {
    const text = about.session.replace(/ locus="[^"]*"/, ` locus="${get("locus").value.replace(/[^\w:.,-]/g, "")}"`);
    save("session.xml", text, "application/xml");
  });
  for (const box of document.querySelectorAll("#alleles input")) {
    box.addEventListener("change", () => { alleles[box.checked ? "add" : "delete"](box.value); refresh(); });
  }

  const tracks = [];
  if (about.extras.includes("genes.bed.gz")) {
    tracks.push({ name: "genes", type: "annotation", format: "bed", url: link("genes.bed.gz"), indexed: false, order: 1,
      displayMode: "EXPANDED", height: 80, maxHeight: 160, autoHeight: true, removable: false, searchable: false });
  }
  if (about.extras.includes("variants.vcf.gz")) {
    tracks.push({ name: "variants", type: "variant", format: "vcf", url: link("variants.vcf.gz"), indexed: false,
      order: 2, displayMode: "COLLAPSED", height: 40, removable: false, showGenotypes: false });
  }
  let browser, genes, ruler;
  try {
    browser = await igv.createBrowser(get("igv"), {
      reference: { id: "predictions", name: about.assembly || "genome", fastaURL: link(about.bases), indexed: false,
        wholeGenomeView: false },
      locus: about.locus,
      loadDefaultGenomes: false,
      showNavigation: false,
      showIdeogram: false,
      showControls: true,
      showGearColumn: !phone,
      roi: about.variants.length ? [{ name: "predicted variant", color: "rgba(213, 94, 0, 0.25)",
        features: about.variants.map(([chr, start, end, name]) => ({ chr, start, end: Math.max(end, start + 1), name })) }] : [],
      tracks,
    });
  } catch (error) {
    say(`The page cannot be drawn: ${error.message || error}`);
    throw error;
  }
  const style = element("style");
  // Names lie over the data: small, and data show through.
  style.textContent = `.igv-viewport .igv-track-label { left: 2px; top: 1px; max-width: 90%; padding: 0 3px; border: 0; font-size: 11px;
    line-height: 14px; background: rgba(255, 255, 255, 0.75); }`;
  get("igv").shadowRoot.append(style);
  ruler = browser.trackViews.find((view) => view.track.type === "ruler");
  genes = browser.trackViews.find((view) => view.track.name === "genes");
  if (ruler) wholeWords(ruler.track, false);
  if (genes) wholeWords(genes.track, true);
  browser.on("locuschange", moved);
  let width = get("igv").clientWidth;
  new ResizeObserver(() => {
    if (get("igv").clientWidth === width) return;
    width = get("igv").clientWidth;
    enqueue(() => browser.visibilityChange());
  }).observe(get("igv"));
  get("zoom-in").addEventListener("click", () => enqueue(() => browser.zoomIn()));
  get("zoom-out").addEventListener("click", () => enqueue(() => browser.zoomOut()));
  get("whole").addEventListener("click", () => go(get("place") ? get("place").value : about.places[0]?.locus || about.locus));
  get("place")?.addEventListener("change", () => go(get("place").value));
  get("scale").addEventListener("change", () => enqueue(rescale));
  ruler?.repaintViews();
  genes?.repaintViews();
  await refresh();
  document.body.dataset.ready = "yes";
})();
