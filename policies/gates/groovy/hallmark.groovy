// Hallmark's gate for self-hosted Artifactory. README.md beside this file says what it guards, what it cannot, and how to
// install and configure it.
//
// A hook ends in one of two ways: Hallmark said yes to exactly this question, or the operation is refused. Artifactory is
// only known to stop for a CancelException, so whatever else goes wrong in here becomes one.

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import groovy.transform.Field
import java.nio.charset.StandardCharsets
import java.security.KeyStore
import java.security.cert.CertificateFactory
import java.text.Normalizer
import java.util.concurrent.*
import java.util.regex.Pattern
import javax.net.ssl.*
import org.artifactory.exception.CancelException

@Field HallmarkGate gate
gate = new HallmarkGate({ new File(ctx.artifactoryHome.etcDir, 'plugins') }, log)

storage {
    beforeMove { item, targetRepoPath, properties -> gate.promotion('move', item, targetRepoPath, security) }
    beforeCopy { item, targetRepoPath, properties -> gate.promotion('copy', item, targetRepoPath, security) }
    beforePropertyCreate { item, name, values -> gate.property('set', item, name, security) }
    beforePropertyDelete { item, name -> gate.property('delete', item, name, security) }
}

download {
    altResponse { request, responseRepoPath ->
        String refusal = gate.download(responseRepoPath, security)
        if (refusal != null) { // these two are Artifactory's; they mean something here and nowhere deeper
            status = 403
            message = refusal
        }
    }
}

/** What keeps the gate from an answer. Its message is for everybody who is refused: no secrets. */
class HallmarkTrouble extends RuntimeException {
    HallmarkTrouble(String message) { super(message) }
}

/** The decisions. Safe for concurrent use. It keeps its configuration and no verdict. */
class HallmarkGate {
    static final int MOST_REASONS = 3
    final Closure<File> home // of hallmark.json; asked for inside the hooks, where an error refuses instead of unloading the plugin
    final Object log
    volatile HallmarkConfig good
    volatile long complained

    HallmarkGate(Closure<File> home, Object log) {
        this.home = home
        this.log = log
    }

    /** Returns when the item may go to the target, else throws a CancelException. */
    void promotion(String verb, Object item, Object target, Object security) {
        cancel(outcome({ "$verb ${place(item.repoPath)} to ${place(target)}" }) {
            HallmarkConfig c = config()
            if (!c.promotion.guards(target.repoKey) || c.ours(security.currentUsername)) {
                return null
            }
            if (item.isFolder()) { // never the target's own word: Artifactory marks targets of files as folders, too
                return c.folders ? null : 'Folders are not carried as such here. fix: copy or move the files one by one'
            }
            c.promotion.excepts(target.path) ? null : judge(c, place(item.repoPath), place(target))
        })
    }

    /** Returns null when what stands at the path may be handed out, else why not. */
    String download(Object path, Object security) {
        outcome({ "hand out ${place(path)}" }) {
            HallmarkConfig c = config()
            if (!c.download.guards(path.repoKey) || c.download.excepts(path.path)) {
                return null
            }
            String user = security.currentUsername
            c.ours(user) || c.readers.contains(user) ? null : judge(c, place(path), place(path))
        }
    }

    /** Returns when the property is not Hallmark's or the user is, else throws a CancelException. */
    void property(String verb, Object item, Object name, Object security) {
        cancel(outcome({ "$verb the property $name of ${place(item.repoPath)}" }) {
            String plain = Normalizer.normalize(name as String, Normalizer.Form.NFKC).replaceAll(/[\p{Z}\p{C}]/, '').toLowerCase(Locale.ROOT)
            if (plain != 'hallmark' && !plain.startsWith('hallmark.')) {
                return null
            }
            config().ours(security.currentUsername) ? null : 'hallmark.* says what Hallmark found out; only Hallmark writes it. fix: leave it to Hallmark'
        })
    }

    static void cancel(String refusal) {
        if (refusal != null) {
            throw new CancelException(refusal, 403)
        }
    }

    String outcome(Closure what, Closure question) {
        String why
        try {
            why = question.call()
        } catch (HallmarkTrouble t) {
            why = 'No verdict, and without one nothing passes: ' + t.message
        } catch (Throwable t) {
            why = 'No verdict, and without one nothing passes: the gate failed with ' + t.class.name
            note('error', "Hallmark's gate failed with ${t}")
        }
        if (why == null) {
            return null
        }
        String refused = 'let this pass'
        try {
            refused = what.call()
        } catch (Throwable ignored) { } // what a hook was given need not have a name
        String text = clean("Hallmark refuses to $refused. $why", 2000)
        note('warn', text)
        return text
    }

    /** Asks about one file. What Hallmark calls a part of an image goes with the manifest in its folder. */
    String judge(HallmarkConfig c, String from, String to) {
        Map answer = ask(c, from, to)
        String code = onlyReason(answer)
        if (code == 'part-of-image' && name(from) == name(to) && name(from) != 'manifest.json') {
            from = beside(from, 'manifest.json')
            to = beside(to, 'manifest.json')
            answer = ask(c, from, to)
        } else if (code == 'signature-file' && c.imageSignatures) {
            return null
        }
        return refusal(answer, from, to)
    }

    /** Null only for a clean yes to this question. */
    String refusal(Map v, String from, String to) {
        if (v.artifact != from || v.target != to) {
            throw new HallmarkTrouble('the answer is about something else')
        }
        if (!(v.reasons instanceof List) || !(v.allow instanceof Boolean) || !(v.decided instanceof Boolean)) {
            throw new HallmarkTrouble('the answer is no verdict')
        }
        if (v.warnings instanceof List) {
            v.warnings.each { note('warn', clean("Hallmark warns about $from for $to. ${told(it)}", 2000)) }
        }
        if (v.allow && v.decided && v.reasons.isEmpty()) {
            return null
        }
        if (v.allow || v.reasons.isEmpty()) {
            throw new HallmarkTrouble('the answer contradicts itself')
        }
        return (v.decided ? '' : 'It could not be decided. ') + reasons(v.reasons)
    }

    static String reasons(List all) {
        String text = all.take(MOST_REASONS).collect { told(it) }.join(' | ')
        all.size() > MOST_REASONS ? "$text | and ${all.size() - MOST_REASONS} more" : text
    }

    static String told(Object r) {
        if (!(r instanceof Map)) {
            return clean(r, 300)
        }
        String would = r.would && r.would != "with ${r.expected}" ? "; would pass ${clean(r.would, 300)}" : ''
        Closure part = { r[it] ? "; $it: ${clean(r[it], 300)}" : '' }
        "${clean(r.code, 60)}: ${clean(r.message, 300)}${part('found')}${part('expected')}$would${part('fix')}${part('who')}"
    }

    static String onlyReason(Map v) {
        boolean one = v.decided == true && v.allow == false && v.reasons instanceof List && v.reasons.size() == 1 && v.reasons[0] instanceof Map
        one ? v.reasons[0].code : null
    }

    /** One question, one answer, within the time that the configuration grants to all of it. */
    Map ask(HallmarkConfig c, String from, String to) {
        Map question = [artifact: from, target: to]
        if (c.instance != null) {
            question.instance = c.instance
        }
        byte[] body = JsonOutput.toJson(question).getBytes(StandardCharsets.UTF_8)
        String token = c.token()
        if (!c.slots.tryAcquire()) { // Hallmark asks Artifactory in turn: hooks that wait must not take all of its threads
            throw new HallmarkTrouble('too many questions at once; try again')
        }
        FutureTask<Map> task = new FutureTask<Map>({
            try {
                return HallmarkGate.exchange(c, token, body)
            } finally {
                c.slots.release()
            }
        } as Callable<Map>)
        Thread asker = new Thread(task, 'hallmark-gate')
        asker.daemon = true
        try {
            asker.start()
        } catch (Throwable t) {
            c.slots.release()
            throw t
        }
        try {
            return task.get(c.millis, TimeUnit.MILLISECONDS)
        } catch (TimeoutException ignored) {
            throw new HallmarkTrouble("Hallmark did not answer within ${c.millis.intdiv(1000)} s")
        } catch (InterruptedException ignored) {
            Thread.currentThread().interrupt()
            throw new HallmarkTrouble('the wait for Hallmark was interrupted')
        } catch (ExecutionException e) {
            if (e.cause instanceof HallmarkTrouble) {
                throw e.cause
            }
            throw new HallmarkTrouble("Hallmark could not be asked: ${clean(e.cause, 300)}")
        }
    }

    /** Runs in a thread of its own, because a server that sends a byte now and then never runs into a read timeout. */
    static Map exchange(HallmarkConfig c, String token, byte[] body) {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(c.millis)
        HttpURLConnection http = (HttpURLConnection) c.endpoint.openConnection(Proxy.NO_PROXY)
        if (c.tls != null) {
            ((HttpsURLConnection) http).setSSLSocketFactory(c.tls)
        }
        http.setInstanceFollowRedirects(false) // the token and the trust are for one address
        http.setUseCaches(false)
        http.setConnectTimeout(c.millis)
        http.setReadTimeout(c.millis)
        http.setRequestMethod('POST')
        http.setRequestProperty('Authorization', 'Bearer ' + token)
        http.setRequestProperty('Content-Type', 'application/json')
        http.setRequestProperty('Accept', 'application/json, application/problem+json')
        http.setDoOutput(true)
        http.getOutputStream().withStream { it.write(body) }
        int status = http.getResponseCode()
        InputStream stream = status < 400 ? http.getInputStream() : http.getErrorStream()
        byte[] content = stream == null ? new byte[0] : HallmarkConfig.read(stream, 1 << 20, 'the answer', end)
        Object answer = null
        try {
            answer = new JsonSlurper().parseText(new String(content, StandardCharsets.UTF_8))
        } catch (Throwable ignored) { } // told below
        if (status != 200) {
            String more = answer instanceof Map && answer.detail ? ': ' + clean(answer.detail, 300) : ''
            more += answer instanceof Map && answer.reasons instanceof List && !answer.reasons.isEmpty() ? '; ' + reasons(answer.reasons) : ''
            throw new HallmarkTrouble("Hallmark answered with HTTP $status$more")
        }
        if (!(answer instanceof Map)) {
            throw new HallmarkTrouble('the answer is not a JSON object')
        }
        return answer
    }

    /** The configuration as it stands in the file; while that cannot be used, the last one that could. */
    HallmarkConfig config() {
        HallmarkConfig had = good
        try {
            File dir = home.call()
            byte[] source = HallmarkConfig.bytes(new File(dir, 'hallmark.json'), 1 << 20)
            if (had != null && had.current(source)) {
                return had
            }
            synchronized (this) { // one for everybody: it counts the questions
                return good != null && good.current(source) ? good : (good = new HallmarkConfig(dir, source))
            }
        } catch (Throwable t) {
            String why = "hallmark.json: ${t instanceof HallmarkTrouble ? t.message : clean(t, 300)}"
            if (had == null) {
                throw new HallmarkTrouble("$why. fix: an Artifactory administrator corrects the file in etc/artifactory/plugins")
            }
            if (System.currentTimeMillis() - complained > 60_000) {
                complained = System.currentTimeMillis()
                note('error', "$why. The configuration that was read before stays in force.")
            }
            return had
        }
    }

    void note(String level, String text) {
        try {
            log."$level"(text)
        } catch (Throwable ignored) { } // a log that fails changes no decision
    }

    /** repository/path, as Hallmark writes it. */
    static String place(Object path) {
        if (!path?.repoKey || !path.path) {
            throw new HallmarkTrouble('Artifactory named no file')
        }
        "${path.repoKey}/${path.path}"
    }

    static String name(String place) { place.substring(place.lastIndexOf('/') + 1) }

    static String beside(String place, String name) { place.substring(0, place.lastIndexOf('/') + 1) + name }

    /** Text from elsewhere on one line, of bounded length. */
    static String clean(Object text, int most) {
        String s = String.valueOf(text).replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/, ' ').trim()
        s.length() > most ? s.substring(0, most) + '...' : s
    }
}

/** Repositories, and the paths in them that are let through unasked. */
class HallmarkGuard {
    List<Pattern> repositories = []
    List<Pattern> except = []

    boolean guards(String repository) { repositories.any { it.matcher(repository).matches() } }

    boolean excepts(String path) { except.any { it.matcher(path).matches() } }
}

/** hallmark.json. Made once for each content of the file. */
class HallmarkConfig {
    static final List<String> UNASKED = ['**/maven-metadata.xml', '**/*.md5', '**/*.sha1', '**/*.sha256', '**/*.sha512']
    final byte[] source, ca
    final File caFile, tokenFile
    final URL endpoint
    final String instance
    final int millis
    final boolean folders, imageSignatures
    final Set<String> users, readers
    final HallmarkGuard promotion, download
    final SSLSocketFactory tls
    final Semaphore slots // for questions that are under way

    HallmarkConfig(File home, byte[] source) {
        this.source = source
        Map all = known(new JsonSlurper().parseText(new String(source, StandardCharsets.UTF_8)), 'the file',
            ['url', 'caFile', 'tokenFile', 'instance', 'hallmarkUsers', 'timeoutSeconds', 'concurrent', 'promotion', 'download', 'imageSignatures'])
        Map promoted = known(all.promotion == null ? [:] : all.promotion, 'promotion', ['repositories', 'except', 'folders'])
        Map fetched = known(all.download == null ? [:] : all.download, 'download', ['repositories', 'except', 'users'])
        endpoint = address(value(all, 'url', String, null))
        tokenFile = at(home, value(all, 'tokenFile', String, null))
        caFile = all.caFile == null ? null : at(home, value(all, 'caFile', String, null))
        instance = all.instance == null ? null : value(all, 'instance', String, null)
        users = names(all, 'hallmarkUsers', null) as Set<String>
        millis = 1000 * number(all, 'timeoutSeconds', 6, 60)
        slots = new Semaphore(number(all, 'concurrent', 32, 1000))
        imageSignatures = value(all, 'imageSignatures', Boolean, false)
        folders = value(promoted, 'folders', Boolean, true)
        promotion = new HallmarkGuard(repositories: globs(promoted, 'repositories', []), except: globs(promoted, 'except', []))
        download = new HallmarkGuard(repositories: globs(fetched, 'repositories', []), except: globs(fetched, 'except', UNASKED))
        readers = names(fetched, 'users', []) as Set<String>
        ca = caFile == null ? null : bytes(caFile, 1 << 20)
        tls = ca == null || endpoint.protocol != 'https' ? null : trust(ca)
    }

    boolean current(byte[] now) { Arrays.equals(source, now) && (caFile == null || Arrays.equals(ca, bytes(caFile, 1 << 20))) }

    boolean ours(String user) { users.contains(user) }

    /** Read for every question, so that a new token is in force at once. */
    String token() {
        String token = new String(bytes(tokenFile, 4096), StandardCharsets.UTF_8).trim()
        if (!(token ==~ /[\x21-\x7e]+/)) { // what is no header value would come back in the message of an exception
            throw new HallmarkTrouble("${tokenFile.name} holds no token")
        }
        return token
    }

    static URL address(String text) {
        URI uri = new URI(text)
        boolean local = uri.host in ['localhost', '127.0.0.1', '[::1]']
        if (!(uri.scheme == 'https' || (uri.scheme == 'http' && local)) || !uri.host || uri.userInfo || uri.query || uri.fragment) {
            throw new HallmarkTrouble('url must be https://host[:port][/path]; http is for this machine alone')
        }
        new URL(text.replaceAll(/\/+$/, '') + '/v1/gate/check')
    }

    static SSLSocketFactory trust(byte[] pem) {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType())
        store.load(null, null)
        CertificateFactory.getInstance('X.509').generateCertificates(new ByteArrayInputStream(pem)).eachWithIndex { it, i -> store.setCertificateEntry("ca$i", it) }
        if (store.size() == 0) {
            throw new HallmarkTrouble('caFile holds no certificate')
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm())
        managers.init(store)
        SSLContext context = SSLContext.getInstance('TLS')
        context.init(null, managers.getTrustManagers(), null)
        return context.getSocketFactory()
    }

    static List<Pattern> globs(Map from, String key, List<String> otherwise) { names(from, key, otherwise).collect { glob(it) } }

    // One star stays in a folder, two span folders, a question mark is one character.
    static Pattern glob(String text) {
        if (text =~ /[\[\]{}]/) {
            throw new HallmarkTrouble("the pattern $text uses more than *, ** and ?")
        }
        StringBuilder out = new StringBuilder()
        text.findAll(/\*\*\/|\*\*|\*|\?|[^*?]+/).each {
            out << (['**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]'][it] ?: Pattern.quote(it))
        }
        Pattern.compile(out.toString(), Pattern.DOTALL)
    }

    static byte[] bytes(File file, int most) {
        if (!file.isFile() || !file.canRead()) { // the name alone: this text goes to everybody who is refused
            throw new HallmarkTrouble("${file.name} is not there or cannot be read")
        }
        read(new FileInputStream(file), most, file.name, Long.MAX_VALUE)
    }

    static byte[] read(InputStream from, int most, String what, long end) {
        ByteArrayOutputStream all = new ByteArrayOutputStream()
        byte[] part = new byte[8192]
        from.withStream {
            for (int n = it.read(part); n >= 0; n = it.read(part)) {
                all.write(part, 0, n)
                if (all.size() > most || (end != Long.MAX_VALUE && System.nanoTime() - end > 0)) {
                    throw new HallmarkTrouble("$what is too long")
                }
            }
        }
        return all.toByteArray()
    }

    static File at(File home, String path) { new File(path).isAbsolute() ? new File(path) : new File(home, path) }

    static Map known(Object object, String where, List<String> keys) {
        if (!(object instanceof Map)) {
            throw new HallmarkTrouble("$where is not a JSON object")
        }
        object.keySet().each {
            if (!keys.contains(it)) {
                throw new HallmarkTrouble("$where has the unknown key $it; known are ${keys.join(', ')}")
            }
        }
        return object
    }

    static Object value(Map from, String key, Class type, Object otherwise) {
        Object v = from[key] == null ? otherwise : from[key]
        if (!type.isInstance(v) || (v instanceof String && v.trim().isEmpty())) {
            throw new HallmarkTrouble("$key must be a ${type.simpleName}")
        }
        return v
    }

    static int number(Map from, String key, int otherwise, int most) {
        int n = value(from, key, Integer, otherwise)
        if (n < 1 || n > most) {
            throw new HallmarkTrouble("$key must be from 1 to $most")
        }
        return n
    }

    static List<String> names(Map from, String key, List<String> otherwise) {
        Object v = value(from, key, List, otherwise)
        if (otherwise == null && v.isEmpty() || v.any { !(it instanceof String) || it.trim().isEmpty() }) {
            throw new HallmarkTrouble("$key must be a list of texts")
        }
        return v
    }
}
