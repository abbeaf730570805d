// Plays Artifactory for plugins: reads one hook call a line, as JSON, runs it in a thread of its own, and writes what came of
// it as one line. Plugins stay loaded, one for each directory that plays Artifactory's etc.

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.util.concurrent.ConcurrentHashMap
import org.artifactory.addon.plugin.ResponseCtx
import org.artifactory.exception.CancelException
import org.artifactory.fs.ItemInfo
import org.artifactory.repo.RepoPath
import org.artifactory.security.Security
import org.codehaus.groovy.runtime.InvokerHelper

class Log {
    final ThreadLocal<List> lines = new ThreadLocal<List>()

    def methodMissing(String level, Object arguments) { lines.get() << (level + ': ' + arguments[0]) }
}

/** Collects the hooks of the blocks that a plugin consists of. */
class Hooks {
    final Map<String, Closure> all = [:]

    def methodMissing(String hook, Object arguments) { all[hook] = arguments[0] }
}

class Loaded {
    final Log log = new Log()
    final Security security = new Security()
    final Hooks hooks = new Hooks()

    Loaded(Class plugin, String etc) {
        Binding binding = new Binding(log: log, security: security, ctx: [artifactoryHome: [etcDir: new File(etc)]])
        ['storage', 'download'].each { block ->
            binding.setVariable(block, { Closure body ->
                body.delegate = hooks
                body.resolveStrategy = Closure.DELEGATE_FIRST
                body.call()
            })
        }
        InvokerHelper.createScript(plugin, binding).run()
    }
}

Class plugin = new GroovyClassLoader(getClass().classLoader).parseClass(new File(args[0]))
Map<String, Loaded> loaded = new ConcurrentHashMap<String, Loaded>()
PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, 'UTF-8')
System.setOut(System.err)

RepoPath path(Map m) { m == null ? null : new RepoPath(repoKey: m.repo, path: m.path, folder: m.folder) }

void play(Loaded p, Map ask, Map told) {
    Closure hook = (Closure) p.hooks.all[ask.hook].clone()
    ItemInfo item = ask.item == null ? null : new ItemInfo(repoPath: path(ask.item), folder: ask.item.folder)
    switch (ask.hook) {
        case 'altResponse':
            ResponseCtx response = new ResponseCtx()
            hook.delegate = response
            hook.resolveStrategy = Closure.DELEGATE_FIRST
            hook.call([:], path(ask.item))
            told.status = response.status
            told.message = response.message
            break
        case 'beforePropertyCreate':
            hook.call(item, ask.name, ['x'] as String[])
            break
        case 'beforePropertyDelete':
            hook.call(item, ask.name)
            break
        default:
            hook.call(item, path(ask.target), [:])
    }
}

System.in.eachLine('UTF-8') { line ->
    Map ask = new JsonSlurper().parseText(line)
    Thread.start {
        Map told = [id: ask.id, status: 0]
        List lines = []
        try {
            Loaded p
            synchronized (loaded) {
                p = loaded[ask.etc]
                if (p == null) {
                    p = loaded[ask.etc] = new Loaded(plugin, ask.etc)
                }
            }
            p.log.lines.set(lines)
            p.security.user.set(ask.user)
            play(p, ask, told)
        } catch (CancelException e) {
            told.status = e.errorCode
            told.message = e.message
        } catch (Throwable t) {
            told.error = t.toString()
            t.printStackTrace()
        }
        told.log = lines
        String answer = JsonOutput.toJson(told)
        synchronized (out) {
            out.println(answer)
        }
    }
}
