"""What a stranger may write where a text is expected, in the hope that a page or a terminal takes it for more."""

from __future__ import annotations

import re

OWNED = "owned"
"""An attribute of the page's root that a payload sets if it runs."""
PORT = "PORT"
"""In a payload, the port that it calls."""

_CALL = "http://127.0.0.1:PORT"
_RUN = f"document.documentElement.setAttribute('{OWNED}','');new Image().src='{_CALL}/js'"

PAYLOADS: dict[str, str] = {
    "script": f"<script>{_RUN}</script>",
    "script, case and space": f"<ScRiPt >{_RUN}</sCrIpT >",
    "script, closed before": f"</script><script>{_RUN}</script>",
    "script, elsewhere": f"<script src={_CALL}/x.js></script>",
    "script, module": f"<script type=module>import '{_CALL}/m.js'</script>",
    "double quote": f'"><img src=x onerror="{_RUN}">',
    "single quote": f'\'><img src=x onerror="{_RUN}">',
    "no quote": f"x onmouseover={_RUN} autofocus onfocus={_RUN} ",
    "attribute": f'" onload="{_RUN}" autofocus onfocus="{_RUN}" x="',
    "image": f'<img src=x onerror="{_RUN}">',
    "image, elsewhere": f"<img src={_CALL}/image.png>",
    "svg": f'<svg onload="{_RUN}"><animate onbegin="{_RUN}" attributeName=x dur=1s></svg>',
    "svg, elsewhere": f"<svg><image href='{_CALL}/s'/><use href='{_CALL}/s#a'/></svg>",
    "out of svg": f'</text></g></svg><img src=x onerror="{_RUN}">',
    "out of title": f'</title><img src=x onerror="{_RUN}">',
    "out of style": f"</style><style>@import '{_CALL}/css';body{{background:url({_CALL}/bg)}}</style>",
    "css": f"red;background:url({_CALL}/bg);}} @import url({_CALL}/css); * {{color:red",
    "css, reference": 'url(#run-1-outputs) href="#run-1-outputs" id="run-1" xmlns="x" width="3pt"',
    "out of pre": f'</pre></details></section></main><img src=x onerror="{_RUN}">',
    "out of textarea": f'</textarea></noscript></template><img src=x onerror="{_RUN}">',
    "comment": f'--><img src=x onerror="{_RUN}"><!--',
    "comment, wrong": f'--!><img src=x onerror="{_RUN}"><!-- -- -->',
    "cdata": f']]><img src=x onerror="{_RUN}"><![CDATA[',
    "doctype": f"<!DOCTYPE x [<!ENTITY e SYSTEM '{_CALL}/dtd'>]>&e;<?php echo 1 ?>",
    "javascript address": f"javascript:{_RUN}",
    "link": f'<a href="javascript:{_RUN}" id=run-1 autofocus>a</a><link rel=stylesheet href={_CALL}/l>',
    "prefetch": f"<link rel=dns-prefetch href=//x><link rel=preload as=image href={_CALL}/p>",
    "data address": "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "refresh": f'<meta http-equiv=refresh content="0;url={_CALL}/refresh">',
    "policy": '<meta http-equiv=Content-Security-Policy content="default-src *">',
    "base": f"<base href={_CALL}/>",
    "frame": f'<iframe srcdoc="<script>{_RUN}</script>" src={_CALL}/frame></iframe>',
    "object": f"<object data={_CALL}/o></object><embed src={_CALL}/e><video src={_CALL}/v></video>",
    "form": f'<form action={_CALL}/form><input autofocus onfocus="{_RUN}" formaction={_CALL}/f></form>',
    "maths": f'<math><mtext><table><mglyph><style><img src=x onerror="{_RUN}"></style></math>',
    "dialog": f'<details open ontoggle="{_RUN}"><summary>s</summary></details><body onload="{_RUN}">',
    "template": "{{7*7}}{% for x in [1] %}{{ self.__init__.__globals__ }}{% endfor %}{# #}${7*7}<%= 7*7 %>#{7*7}",
    "format": "%s%n{0.__class__}{self}{key!r:>99999999}%(x)s\\N{BULLET}\\x1b",
    "entities": "&lt;script&gt;&#60;img src=x&#62;&amp;&quot;&#x27;&copy;&notanentity;",
    "maths of charts": "$\\frac{1}{2}$ $$ \\$ _hidden ^ {} \\mathregular{x} $\\undefined$",
    "mixed encodings": "%3Cscript%3E +ADw-script+AD4- \\u003cscript\\u003e \\x3cscript\\x3e ＜script＞",
    "nul": f"<scr\0ipt>{_RUN}</scr\0ipt>\0",
    "controls": "\x01\x02\x07\x08\x0b\x0c\x0e\x1f\x7f\x80\x85\x9b",
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://127.0.0.1:PORT\x1b\\link\x1b]8;;\x1b\\\x1b[2J\x9b31m",
    "lines": "a\nerror: b\r\nc\rd\u2028e\u2029f\x85g\tH",
    "direction": "\u202egnp.exe\u202c \u2066a\u2069 \u200f\u200e\u061c \u2067rtl",
    "invisible": "a\u200bb\u200cc\u200dd\ufeffe\u00adf\u2060g\U000e0041",
    "marks": "Z" + "\u0300\u0301\u0302\u0310\u0334\u0488" * 20 + "algo",
    "no characters": "\ufffe\uffff\ufdd0\U0001ffff",
    "half a character": "a\ud800b\udfffc",
    "rich": "[bold]b[/bold][/][link=http://127.0.0.1:PORT]l[/link][@click=app.quit]q[/] :smile: [red",
    "paths": "../../../etc/passwd /dev/zero C:\\con ~root $HOME `id` $(id) ; rm -rf . | cat",
    "numbers": "NaN Infinity -1e999 0x10 1_000 १२३ ² ½",
    "long": "<b>" + "w" * 5_000,
    "long, in words": "<i> " * 2_000,
    "wide": "漢字かな交じり文😀👩‍👩‍👧‍👦" * 3,
}


def harmless(text: str) -> str:
    """A text of the same length and with the same blanks, of which every other letter is an x."""
    return re.sub(r"[^ \n]", "x", text)
