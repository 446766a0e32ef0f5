// Asks the server for the page again and again, and changes what differs. What was opened, chosen or scrolled to stays.
const OWN = ["open", "hidden"]; // attributes that the reader and the players set
const keyOf = (node) =>
  node.id || node.dataset?.step || node.querySelector?.(":scope > :is(h2, h3)")?.textContent || "";
const morph = (old, fresh) => {
  if (old.isEqualNode(fresh) || old.classList?.contains("controls")) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const name of new Set([...old.getAttributeNames(), ...fresh.getAttributeNames()])) {
    if (OWN.includes(name) || old.getAttribute(name) === fresh.getAttribute(name)) continue;
    if (fresh.hasAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
    else old.removeAttribute(name);
  }
  const left = [...old.childNodes];
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const at = left.findIndex((node) => node.nodeName === wanted.nodeName && keyOf(node) === keyOf(wanted));
    if (at < 0) {
      old.insertBefore(wanted, place);
      continue;
    }
    const [kept] = left.splice(at, 1);
    if (kept === place) place = place.nextSibling;
    else old.insertBefore(kept, place);
    morph(kept, wanted);
  }
  for (const node of left) node.remove();
};

const note = document.createElement("p");
note.className = "live";
note.setAttribute("role", "status");
document.body.append(note);
const say = (text) => {
  if (note.textContent !== text) note.textContent = text;
};
say("Live: follows the run.");
let version = "";
const ask = async () => {
  const began = performance.now();
  try {
    const answer = await fetch("/", { headers: version ? { "If-None-Match": version } : {} });
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      version = answer.headers.get("ETag");
      document.title = fresh.title;
      morph(document.querySelector("main"), document.adoptNode(fresh.querySelector("main")));
      dispatchEvent(new Event("updated"));
      say("Live: updated at " + new Date().toLocaleTimeString() + ".");
    } else if (answer.status !== 304) say(await answer.text());
  } catch {
    say("No answer: sparring watch has ended. The page stays as it was.");
  }
  // A page that takes long to draw is asked for less often, so that the run keeps its cores.
  setTimeout(ask, Math.max(1000, 3 * (performance.now() - began)));
};
setTimeout(ask, 1000);
