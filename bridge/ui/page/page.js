"use strict";
// What is read is put into the page as text alone, never as HTML: names and messages are of people who may write Promises.
(() => {
  const at = (id) => document.getElementById(id);
  const MARKS = {
    Ready: ["✓", "good"], UnderWay: ["·", "wait"], Stuck: ["✗", "bad"],
    Published: ["✓", "good"], Refused: ["✗", "bad"], Kept: ["=", "wait"], Waiting: ["·", "wait"], Unlisted: ["?", "dim"],
  };
  const WAIT = 20;
  const LISTED = 500; // rows of a table: a browser shows no more with ease, and a search finds the rest
  let token = "";
  let tag = "";
  let last = null;
  let asking = null;

  function element(name, options = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(options)) {
      if (key === "class") made.className = value;
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  const span = (kind, text) => element("span", { class: kind }, text);
  const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

  function mark(state, text = "") {
    const [sign, kind] = MARKS[state];
    return span(kind, text ? `${sign} ${text}` : sign);
  }

  function condition(each) {
    if (!each.status) return span("dim", "–");
    const kind = each.status === "True" ? "good" : each.status === "False" ? "bad" : "wait";
    const text = each.status === "True" || !each.reason ? each.status : each.reason;
    return element("span", { class: kind, title: each.message }, text);
  }

  function cell(each) {
    if (!each) return span("dim", "–");
    const shown = mark(each.state, each.state === "Published" ? each.version || "published" : each.state.toLowerCase());
    if (each.why || each.xrd) shown.title = each.why || each.xrd;
    return shown;
  }

  function conditions(list) {
    if (!list.length) return null;
    const pairs = list.flatMap((each) => [
      element("dt", {}, `${each.type}: `, condition(each)), element("dd", {}, each.message || each.reason),
    ]);
    return element("details", {}, element("summary", {}, "conditions"), element("dl", {}, ...pairs));
  }

  // A row is what is searched, and what is shown of it once it is found.
  const row = (words, cells) => ({ key: words.slice(0, 2).join(" "), words: words.join(" ").toLowerCase(), cells });

  function sections(status) {
    const names = status.clusters.map((each) => each.name);
    const published = status.promises.filter((each) => Object.keys(each.on).length);
    const others = status.promises.filter((each) => !Object.keys(each.on).length);
    const mirrored = published.some((each) => each.mirrored || Object.keys(each.requests).length);
    return [
      ["stuck", "Stuck", ["", "What", "Why"], status.stuck.map((each) => row(
        [each.about, each.why], [mark("Stuck"), span("name bad", each.about), each.why]))],
      ["clusters", "Clusters", ["", "Name", "Way", "Reached", "Synced", "Published", "Refused", "Kept", "Destinations", "Core", "Message"],
        status.clusters.map((each) => row(
          [each.name, each.way, each.core, each.reachable.message, each.synced.message, each.state],
          [mark(each.state), span("name", each.name + (each.draining ? " (draining)" : "")), each.way, condition(each.reachable),
            condition(each.synced), `${each.published} of ${each.promises}`, String(each.refused), String(each.kept),
            String(each.destinations), each.core, span("dim", (each.reachable.status === "True" ? each.synced : each.reachable).message)]))],
      ["promises", "Promises", ["Name", "Version", "Available", ...names, ...(mirrored ? ["Requests"] : [])],
        published.map((each) => row(
          [each.name, each.version, each.api, ...Object.entries(each.on).map(([on, found]) => `${on} ${found.state} ${found.why}`)],
          [span("name", each.name), each.version, condition(each.available), ...names.map((name) => cell(each.on[name])),
            ...(mirrored ? [requests(each)] : [])]))],
      ["unpublished", "Promises on no cluster", ["Name", "Version", "Available"], others.map((each) => row(
        [each.name, each.version, each.api], [span("name", each.name), each.version, condition(each.available)]))],
      ["requests", "Requests", ["", "Kind", "Request", "Cluster", "Ready", "Message", ""], status.requests
        .slice().sort((a, b) => order(a) - order(b))
        .map((each) => row(
          [each.kind, called(each), each.cluster, ...each.destinations, each.message, each.promise, each.reason, each.state],
          [mark(each.state), each.kind, span("name", called(each)),
            element("span", { title: each.reason }, each.cluster || "–", ...each.destinations.map((name) => span("dim", ` → ${name}`)),
              each.placement === "Misplaced" ? span("wait", " misplaced") : null),
            each.ready, each.message, conditions(each.conditions)]))],
      ["destinations", "Destinations", ["Name", "Ready", "Placements", "Labels"], status.destinations.map((each) => row(
        [each.name, ...Object.entries(each.labels).map((pair) => pair.join("=")), each.ready.message],
        [span("name", each.name), condition(each.ready), placements(each), labels(each.labels)]))],
    ];
  }

  const called = (request) => (request.namespace ? `${request.namespace}/${request.name}` : request.name);
  const order = (request) => ({ Stuck: 0, UnderWay: 1, Ready: 2 })[request.state];

  function requests(promise) {
    if (!promise.mirrored && !Object.keys(promise.requests).length) return span("dim", "–");
    const shown = Object.entries(promise.requests).map(([state, number]) => mark(state, `${number} `));
    return shown.length ? element("span", {}, ...shown) : span("dim", "none");
  }

  function placements(each) {
    const parts = [String(each.placements)];
    if (each.unwritten) parts.push(`${each.unwritten} not written`);
    if (each.misplaced) parts.push(`${each.misplaced} misplaced`);
    return span(each.unwritten ? "wait" : "", parts.join(", "));
  }

  function labels(given) {
    return element("span", {}, ...Object.entries(given).sort().map(([key, value]) => span("label", `${key}=${value}`)));
  }

  function summary(status) {
    const reached = status.clusters.filter((each) => each.reachable.status === "True").length;
    const ready = status.requests.filter((each) => each.state === "Ready").length;
    const parts = [`${reached} of ${counted(status.clusters.length, "cluster")} reached`, counted(status.promises.length, "Promise"),
      counted(status.destinations.length, "Destination")];
    if (status.requests.length) parts.push(`${ready} of ${counted(status.requests.length, "request")} ready`);
    const lost = status.unread.some((each) => !each.forbidden);
    const verdict = status.stuck.length ? span("bad", `✗ ${status.stuck.length} stuck`)
      : lost ? span("wait", "? not all is known") : span("good", "✓ nothing is stuck");
    at("summary").replaceChildren(verdict, ` · ${parts.join(", ")}`);
  }

  function draw() {
    if (!last) return;
    summary(last);
    const wanted = at("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const open = new Set([...document.querySelectorAll("details[open]")].map((each) => each.closest("tr").dataset.key));
    const made = last.unread.map((each) => element("p", { class: "note" }, each.forbidden ? `Left out: ${each.why}.` : each.why));
    let found = 0;
    for (const [id, title, heads, rows] of sections(last)) {
      const matching = rows.filter((each) => wanted.every((word) => each.words.includes(word)));
      if (!matching.length) continue;
      found += matching.length;
      const number = matching.length === rows.length ? rows.length : `${matching.length} of ${rows.length}`;
      const more = matching.length > LISTED ? `, of which the first ${LISTED}` : "";
      const head = element("tr", {}, ...heads.map((each) => element("th", { scope: "col" }, each)));
      const body = matching.slice(0, LISTED).map((each) => line(each, heads, `${id} ${each.key}`, open));
      made.push(element("section", { id, "aria-label": title }, element("h2", {}, `${title} `, span("", `${number}${more}`)),
        element("table", {}, element("thead", {}, head), element("tbody", {}, ...body))));
    }
    at("sections").replaceChildren(...made);
    at("nothing").hidden = found > 0 || !wanted.length;
  }

  function line(each, heads, key, open) {
    const cells = each.cells.map((shown, i) => element("td", /^(Message|Why|Labels)$/.test(heads[i]) ? { class: "message" } : {}, shown));
    const made = element("tr", { "data-key": key }, ...cells);
    if (open.has(key)) made.querySelectorAll("details").forEach((found) => { found.open = true; });
    return made;
  }

  function following(kind, text) {
    at("dot").className = kind;
    at("following").textContent = text;
  }

  function ask(why = "") {
    token = "";
    last = null;
    tag = "";
    at("sections").replaceChildren();
    at("summary").textContent = "Who are you?";
    at("refused").textContent = why;
    at("enter").hidden = false;
    at("search").hidden = true;
    at("leave").hidden = true;
    following("", "not connected");
    at("token").focus();
  }

  const pause = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });

  async function once(signal) {
    const headers = { Accept: "application/json", Prefer: `wait=${WAIT}` };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (tag) headers["If-None-Match"] = `"${tag}"`;
    const answer = await fetch("status.json", { headers, signal, cache: "no-store", credentials: "same-origin", redirect: "error" });
    if (answer.status === 200) {
      last = await answer.json();
      tag = (answer.headers.get("ETag") || "").replaceAll('"', "");
      at("enter").hidden = true;
      at("search").hidden = false;
      at("leave").hidden = !token;
      draw();
    } else if (answer.status === 401 || answer.status === 403) {
      const said = (await answer.text()).trim();
      const tried = Boolean(token);
      ask(answer.status === 403 ? `${said}.` : tried ? "The platform cluster does not know this token, or it has expired." : "");
      return false;
    } else if (answer.status !== 304) {
      throw new Error((await answer.text()).trim() || `HTTP ${answer.status}`);
    }
    following("live", `follows changes${last ? `, as ${last.user}` : ""}`);
    return true;
  }

  async function follow() {
    if (asking) asking.abort();
    const own = new AbortController();
    asking = own;
    let failures = 0;
    while (!own.signal.aborted) {
      try {
        if (!(await once(own.signal))) return;
        failures = 0;
      } catch (error) {
        if (own.signal.aborted) return;
        failures += 1;
        following("lost", `cannot reach the bridge${last ? "; this is what was known last" : ""}: ${error.message}`);
        await pause(Math.min(2 ** failures, 30));
      }
    }
  }

  at("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    token = at("token").value.trim();
    at("token").value = "";
    at("refused").textContent = "";
    follow();
  });
  at("leave").addEventListener("click", () => { asking.abort(); ask(); });
  at("search").addEventListener("input", draw);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !["INPUT", "TEXTAREA"].includes(document.activeElement.tagName)) {
      event.preventDefault();
      at("search").focus();
    }
  });
  follow();
})();
